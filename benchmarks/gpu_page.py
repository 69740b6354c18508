"""The page and the plot of ``gpu.py``, from its JSON."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from forward_ways import OPTIONS

Result = dict[str, Any]
Row = tuple[str, ...]


def write_page(folder: Path, results: list[Result]) -> None:
    """Write ``gpu.md``."""
    name = next((r["device"] for r in results if "device" in r), "no device")
    parts = [f"# {name}\n\nWritten by `benchmarks/gpu.py`.\n"]
    for title, head, row, task in _SECTIONS:
        done = [r for r in results if r["task"] == task and "failed" not in r]
        if done:
            parts.append(f"\n## {title}\n\n{table(head, [row(r, done) for r in done])}")
        if task == "forward" and done:
            parts.append("\n" + "".join(f"{line}\n" for line in fastest(done)))
    failed = [(r["name"], r["failed"]) for r in results if "failed" in r]
    if failed:
        parts.append(f"\n## Not measured\n\n{table(('what', 'why'), failed)}")
    (folder / "gpu.md").write_text("".join(parts))


def fastest(passes: list[Result]) -> list[str]:
    """A line for each load: the fastest way in the lower precision, and how bigunet takes it."""
    lines = []
    for load in dict.fromkeys(r["load"] for r in passes):
        ours = [r for r in passes if r["load"] == load and r["precision"] in ("bf16", "fp16")]
        if not ours:
            continue
        best = min(ours, key=_microseconds)
        usual = [r for r in ours if r["backend"] == "channels-last"]
        gain = (
            f", {_microseconds(usual[0]) / _microseconds(best):.2f} × as fast as" if usual else ""
        )
        option = OPTIONS.get(best["backend"])
        how = f"`{option}` takes it" if option else "bigunet has no backend for it yet"
        lines.append(
            f"- **{load}**: `{best['backend']}` in {best['precision']} is the fastest"
            f"{gain}{' `--backend torch`' if usual else ''}; {how}."
        )
    return lines


def table(head: Row, rows: list[Row]) -> str:
    """A table in Markdown; a bar in a cell would end it."""
    cells = [
        [cell.replace("|", "\\|") for cell in row] for row in (head, ("---",) * len(head), *rows)
    ]
    return "\n".join("| " + " | ".join(row) + " |" for row in cells) + "\n"


def _matrix(result: Result, _: list[Result]) -> Row:
    ((precision, rate),) = result["flops"].items()
    return precision, f"{rate / 1e12:.4g}"


def _copies(result: Result, _: list[Result]) -> Row:
    rates = result["transfer_bytes"]
    kinds = ("send_pageable", "send_pinned", "fetch_pageable", "fetch_pinned")
    return (
        f"{result['copy_bytes'] / 1e9:.4g}",
        *(f"{rates[kind] / 1e9:.3g}" if kind in rates else "–" for kind in kinds),
    )


def _forward(result: Result, others: list[Result]) -> Row:
    same = [
        r for r in others if (r["load"], r["precision"]) == (result["load"], result["precision"])
    ]
    best = min(map(_microseconds, same))
    memory = result["peak_device_bytes"]
    return (
        result["load"], result["precision"], result["backend"],
        f"{_microseconds(result):.4g}", f"{_microseconds(result) / best:.2f}",
        f"{result['flops_per_second'] / 1e12:.3g}", f"{result['prepared_seconds']:.1f}",
        "–" if memory is None else f"{memory / 1e9:.2f}",
        f"{100 * result['labels_equal']:.3f}", f"{result['largest_difference']:.1e}",
        result["option"] or "–",
    )  # fmt: skip


def _ours(result: Result, _: list[Result]) -> Row:
    return (
        result["load"], result["precision"], str(result["workers"]), str(result["threads"]),
        f"{result['seconds']:.2f}", f"{result['megavoxels_per_second']:.4g}",
        f"{result['share_of_time_computing']:.2f}",
    )  # fmt: skip


def _program(result: Result, others: list[Result]) -> Row:
    program, precision, setting = result["program"].split(":")
    same = [r for r in others if r["load"] == result["load"] and r["program"].startswith("bigunet")]
    times = f"{result['seconds'] / min(r['seconds'] for r in same):.2f}" if same else "–"
    share = result["differing"]
    return (
        result["load"], program, precision, setting, f"{result['seconds']:.2f}",
        f"{result['megavoxels_per_second']:.4g}", times,
        "–" if share is None else f"{share:.1e}",
    )  # fmt: skip


def _microseconds(result: Result) -> float:
    return min(result["microseconds_per_voxel"].values())


_SECTIONS: tuple[tuple[str, Row, Callable[[Result, list[Result]], Row], str], ...] = (
    ("Matrix products", ("precision", "TFLOP/s"), _matrix, "matrix"),
    (
        "Copies, GB/s",
        ("on the device", "there, pageable", "there, pinned", "back, pageable", "back, pinned"),
        _copies,
        "copies",
    ),
    (
        "Forward pass",
        (
            "load", "precision", "way", "µs/voxel", "× best", "TFLOP/s", "prepared in s",
            "peak GB", "labels as in fp32, %", "largest difference, σ", "option of bigunet",
        ),
        _forward,
        "forward",
    ),
    (
        "bigunet from zarr to zarr",
        ("load", "precision", "workers", "threads", "seconds", "Mvox/s", "time computing"),
        _ours,
        "ours",
    ),
    (
        "Programs from zarr to zarr",
        (
            "load", "program", "precision", "tile or backend", "seconds", "Mvox/s", "× bigunet",
            "labels unlike fp32",
        ),
        _program,
        "program",
    ),
)  # fmt: skip


def plot(folder: Path, results: list[Result]) -> None:
    """Write ``gpu.png``: the ways of the forward pass, threads, and programs."""
    from matplotlib.figure import Figure

    done = [r for r in results if "failed" not in r]
    panels = [
        (f"forward pass, {load}", "µs per voxel", [
            (f"{r['backend']} {r['precision']}", _microseconds(r), bool(r["option"]))
            for r in done if r["task"] == "forward" and r["load"] == load
        ])
        for load in dict.fromkeys(r["load"] for r in done if r["task"] == "forward")
    ]  # fmt: skip
    panels.append(("bigunet, workers × threads", "Mvox/s", [
        (f"{r['workers']} × {r['threads']}", r["megavoxels_per_second"], True)
        for r in done if r["task"] == "ours"
    ]))  # fmt: skip
    panels += [
        (f"programs, {load}", "Mvox/s", [
            (r["program"], r["megavoxels_per_second"], r["program"].startswith("bigunet"))
            for r in done if r["task"] == "program" and r["load"] == load
        ])
        for load in dict.fromkeys(r["load"] for r in done if r["task"] == "program")
    ]  # fmt: skip
    panels = [panel for panel in panels if panel[2]]
    if not panels:
        return
    heights = [1 + len(bars) for *_, bars in panels]
    figure = Figure(figsize=(9, 1 + 0.32 * sum(heights)))
    axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
    for ax, (title, unit, bars) in zip(axes, panels):
        names, values, ours = zip(*bars)
        drawn = ax.barh(names, values, color=["tab:orange" if o else "tab:grey" for o in ours])
        ax.bar_label(drawn, fmt="%.3g", padding=3)
        ax.invert_yaxis()
        ax.set_title(title, loc="left")
        ax.set_xlabel(unit)
        ax.set_xlim(0, 1.15 * max(values))
        ax.spines[["top", "right"]].set_visible(False)
    name = next(r["device"] for r in done if "device" in r)
    figure.suptitle(f"{name}; orange: bigunet, or an option of it")
    figure.tight_layout()
    figure.savefig(folder / "gpu.png", dpi=110)
