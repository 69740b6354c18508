"""Write a table and a plot of the results.

    python benchmarks/table.py benchmarks/results

The script reads ``compare-*.json`` and ``ours-*.json`` in the folder, and writes ``table.md`` and
``speed.png`` there.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from loads import LOADS

Row = tuple[str, ...]


def read(folder: Path, prefix: str) -> list[dict[str, Any]]:
    """Results of one kind, in the order of the loads."""
    results = [json.loads(path.read_text()) for path in folder.glob(f"{prefix}-*.json")]
    order = list(LOADS)
    return sorted(results, key=lambda result: order.index(result["load"]))


def limit(result: dict[str, Any]) -> float:
    """Microseconds per voxel of one pass over the whole image at the peak of matrix products."""
    load = LOADS[result["load"]]
    return 1e6 * load.flops / result["flops_peak"] / load.voxels


def comparison(result: dict[str, Any]) -> list[Row]:
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


def end_to_end(results: list[dict[str, Any]]) -> list[Row]:
    """One row for each load."""
    return [
        (
            r["load"], " × ".join(map(str, LOADS[r["load"]].shape)), f"{r['seconds']:.1f}",
            f"{r['megavoxels_per_second']:.2f}", f"{r['microseconds_per_voxel']:.3f}",
            f"{limit(r):.3f}", f"{r['efficiency']:.2f}", f"{r['recompute']:.2f}",
            f"{r['share_of_time_computing']:.2f}", f"{r['bytes_read_per_image_byte']:.2f}",
            f"{r['peak_memory_bytes'] / 1e9:.2f}",
        )
        for r in results
    ]  # fmt: skip


def table(head: Row, rows: list[Row]) -> str:
    """A table in Markdown."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def write_table(folder: Path) -> None:
    """Write ``table.md``."""
    ours, compared = read(folder, "ours"), read(folder, "compare")
    parts = ["# Results\n\nWritten by `benchmarks/table.py` from the JSON files beside it.\n"]
    if ours:
        parts.append(f"\n## End to end\n\n{_machine(ours[0])}\n\n")
        head = (
            "load", "voxels", "seconds", "Mvox/s", "µs/voxel", "limit, µs", "efficiency",
            "recompute", "time computing", "bytes read per byte", "peak GB",
        )  # fmt: skip
        parts.append(table(head, end_to_end(ours)))
    head = ("program", "precision", "tile", "seconds", "µs/voxel", "× ours", "peak GB", "differing")
    for result in compared:
        load = LOADS[result["load"]]
        shape, runs = " × ".join(map(str, load.shape)), len(result["ours"]["runs"])
        parts.append(
            f"\n## {load.name}: {shape}\n\n{_machine(result)}; medians of {runs}; at the limit "
            f"{limit(result):.3f} µs/voxel\n\n"
        )
        parts.append(table(head, comparison(result)))
    (folder / "table.md").write_text("".join(parts))


def plot(folder: Path) -> None:
    """Write ``speed.png``: microseconds per voxel of each program, and the limit of the machine."""
    from matplotlib.figure import Figure

    compared = read(folder, "compare")
    if not compared:
        return
    figure = Figure(figsize=(9, 1 + 0.3 * sum(2 + len(r["peers"]) for r in compared)))
    axes = figure.subplots(len(compared), 1, squeeze=False)[:, 0]
    for ax, result in zip(axes, compared):
        rows = comparison(result)
        names = [f"{program} {precision}, {tile}" for program, precision, tile, *_ in rows]
        values = [float(row[4]) for row in rows]
        colours = ["tab:orange"] + ["tab:grey"] * (len(rows) - 1)
        bars = ax.barh(names, values, color=colours)
        ax.bar_label(bars, fmt="%.3g", padding=3)
        ax.axvline(limit(result), color="tab:blue", linestyle="--", label="matrix products alone")
        ax.invert_yaxis()
        ax.set_title(result["load"], loc="left")
        ax.set_xlim(0, 1.12 * max(values))
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].legend(loc="upper right")
    axes[-1].set_xlabel("µs per voxel, from zarr to zarr")
    figure.tight_layout()
    figure.savefig(folder / "speed.png", dpi=110)


def _machine(result: dict[str, Any]) -> str:
    return f"{result['cpu']}, bf16 peak {result['flops_peak'] / 1e9:.0f} GFLOP/s"


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
