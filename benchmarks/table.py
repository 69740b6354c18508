"""Write a table and a plot of the results.

    python benchmarks/table.py benchmarks/results

The script reads the JSON files in the folders of the processors, and writes ``table.md`` and
``speed.png`` beside these folders.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from loads import LOADS
from result_files import Machine, Result, machines, name_of
from run_profile import PARTS
from side_by_side import PRECISIONS, notes, side_by_side

Row = tuple[str, ...]
_OURS = "#ffc48c"  # bigunet in another precision or with another backend
_RUNS: Row = (
    "load", "precision", "voxels", "seconds", "Mvox/s", "µs/voxel", "limit, µs", "efficiency",
    "recompute", "time computing", "bytes read per byte", "peak GB",
)  # fmt: skip
_COMPARED: Row = (
    "program", "precision", "tile", "seconds", "µs/voxel", "× ours", "peak GB", "differing",
)  # fmt: skip


def limit(result: Result) -> float:
    """Microseconds per voxel of one pass over the whole image at the peak of matrix products."""
    load = LOADS[result["load"]]
    return 1e6 * load.flops / result["flops_peak"] / load.voxels


def comparison(result: Result) -> list[Row]:
    """One row for bigunet, then one for each peer, the fastest peer first."""
    ours = result["ours"]
    peers = sorted(result["peers"].items(), key=lambda item: item[1]["seconds"])
    rows = [("bigunet", ours["precision"], "chosen", ours, 1.0, "")]
    for name, peer in peers:
        program, precision, tile = name.split(":")
        rows.append((program, precision, tile, peer, peer["times_ours"], _share(peer["differing"])))
    return [
        (
            program, precision, tile, f"{figures['seconds']:.1f}",
            f"{figures['microseconds_per_voxel']:.3f}", f"{times:.2f}",
            f"{figures['peak_memory_bytes'] / 1e9:.2f}", differing,
        )
        for program, precision, tile, figures, times, differing in rows
    ]  # fmt: skip


def end_to_end(results: list[Result]) -> list[Row]:
    """One row for each load and each set of options."""
    return [
        (
            " ".join((r["load"], *r["options"])), r["precision"],
            " × ".join(map(str, LOADS[r["load"]].shape)), f"{r['seconds']:.1f}",
            f"{r['megavoxels_per_second']:.2f}", f"{r['microseconds_per_voxel']:.3f}",
            f"{limit(r):.3g}", f"{r['efficiency']:.2g}", f"{r['recompute']:.2f}",
            f"{r['share_of_time_computing']:.2f}", f"{r['bytes_read_per_image_byte']:.2f}",
            f"{r['peak_memory_bytes'] / 1e9:.2f}",
        )
        for r in results
    ]  # fmt: skip


def limits(found: list[Machine]) -> list[Row]:
    """One row for each processor or GPU."""
    return [
        (
            m.name, str(m.limits.get("threads", "–")),
            *(_rate(m.limits["flops"].get(p), 1e12) for p in PRECISIONS),
            *(_rate(m.limits.get(k), 1e9) for k in ("copy_bytes", "disk_read", "disk_write")),
        )
        for m in found
        if m.limits is not None
    ]  # fmt: skip


def profiles(results: list[Result]) -> list[Row]:
    """One row for each run: the shares of the time of all threads, and what to gain next."""
    rows = []
    for result in results:
        profile = result["profile"]
        whole = sum(profile["parts"].values())
        what, seconds = max(profile["gains"].items(), key=lambda item: item[1])
        rows.append(
            (
                " ".join((result["load"], *result["options"])),
                str(profile["threads"]),
                *(f"{part / whole:.3f}" for part in profile["parts"].values()),
                f"{what}: {seconds / profile['seconds']:.2f}",
            )
        )
    return rows


def table(head: Row, rows: list[Row]) -> str:
    """A table in Markdown."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def write_table(folder: Path) -> None:
    """Write ``table.md``."""
    found = machines(folder)
    parts = ["# Results\n\nWritten by `benchmarks/table.py` from the JSON files in the folders.\n"]
    head = ("device", "threads", *(f"{p}, TFLOP/s" for p in PRECISIONS))
    rows = limits(found)
    if rows:
        parts.append("\n## Limits\n\nA dash: not measured, or the device has no instructions.\n\n")
        parts.append(table((*head, "copy, GB/s", "disk read, GB/s", "disk write, GB/s"), rows))
    parts.append("\n## Side by side\n\nMicroseconds per voxel; parts of a load stand with it.\n\n")
    parts.append(table(*side_by_side(found)))
    parts += [f"\n{note}\n" for note in notes(found)]
    parts += [section for machine in found for section in _sections(machine)]
    (folder / "table.md").write_text("".join(parts))


def _sections(machine: Machine) -> list[str]:
    """The tables of one processor or GPU."""
    parts = [f"\n## {machine.name}\n"] if machine.runs or machine.comparisons else []
    if machine.runs:
        rows = end_to_end(machine.runs)
        parts += ["\n### End to end\n\n", table(_RUNS, rows)]
    profiled = [run for run in machine.runs if "profile" in run]
    if profiled:
        head = ("load", "threads", *PARTS, "next to gain, share of the run")
        parts.append("\n### Where the time of all threads goes\n\n")
        parts.append(table(head, profiles(profiled)))
    for result in machine.comparisons:
        load = LOADS[result["load"]]
        shape, repeats = " × ".join(map(str, load.shape)), len(result["ours"]["runs"])
        parts.append(
            f"\n### {load.name}: {shape}\n\n{_peak(result)}; medians of {repeats}; at the limit "
            f"{limit(result):.3f} µs/voxel\n\n"
        )
        parts.append(table(_COMPARED, comparison(result)))
    return parts


def plot(folder: Path) -> None:
    """Write ``speed.png``: microseconds per voxel of each program, and the limit of the machine."""
    from matplotlib.figure import Figure

    compared = [result for machine in machines(folder) for result in machine.comparisons]
    if not compared:
        return
    figure = Figure(figsize=(9, 1 + 0.3 * sum(2 + len(r["peers"]) for r in compared)))
    axes = figure.subplots(len(compared), 1, squeeze=False)[:, 0]
    for ax, result in zip(axes, compared):
        rows = comparison(result)
        names = [f"{program} {precision}, {tile}" for program, precision, tile, *_ in rows]
        values = [float(row[4]) for row in rows]
        colours = [_OURS if row[0] == "bigunet" else "tab:grey" for row in rows]
        colours[0] = "tab:orange"
        bars = ax.barh(names, values, color=colours)
        ax.bar_label(bars, fmt="%.3g", padding=3)
        ax.axvline(limit(result), color="tab:blue", linestyle="--", label="matrix products alone")
        ax.invert_yaxis()
        ax.set_title(f"{result['load']}, {name_of(result)}", loc="left")
        ax.set_xlim(0, 1.12 * max(values))
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].legend(loc="upper right")
    axes[-1].set_xlabel("µs per voxel, from zarr to zarr")
    figure.tight_layout()
    figure.savefig(folder / "speed.png", dpi=110)


def _peak(result: Result) -> str:
    precision = result.get("peak_precision") or result["ours"]["precision"]
    return f"{precision} peak {result['flops_peak'] / 1e9:.0f} GFLOP/s"


def _rate(per_second: float | None, unit: float) -> str:
    return "–" if per_second is None else f"{per_second / unit:.3g}"


def _share(share: float) -> str:
    return "0" if share == 0 else f"{share:.1e}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    write_table(folder)
    plot(folder)


if __name__ == "__main__":
    main()
