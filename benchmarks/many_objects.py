"""Time and memory to stitch, number and measure many objects, against their number.

    python benchmarks/many_objects.py OUT.json [--objects 10000 100000 ...] [--plot OUT.png]

A block of 256 x 256 voxels with 121 discs is repeated. Its neighbours are itself, so that discs on
its faces are joined over the blocks beside it. No voxels are stored. Each number of objects runs in
a process of its own, which reports its peak memory.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bigunet.blocks import BlockGrid
from bigunet.geometry import Box
from bigunet.measuring.block_sums import sums_of_block
from bigunet.measuring.described import Described
from bigunet.measuring.files import write_table
from bigunet.measuring.merging import merged_bands
from bigunet.measuring.sums import ObjectSums
from bigunet.measuring.table import table_bands
from bigunet.objects.block_fragments import BlockFragments, fragments_of_labels, label_block
from bigunet.objects.numbering import ObjectIds, number_objects
from bigunet.objects.rule import ObjectRule
from bigunet.objects.stitching import stitch

SIDE = 256
RADIUS = 6
PER_SIDE = 11
RULE = ObjectRule(1)


def template() -> tuple[np.ndarray, np.ndarray]:
    """Fragments and grey values of the block that is repeated."""
    y, x = np.mgrid[:SIDE, :SIDE]
    rng = np.random.default_rng(0)
    classes = np.zeros((SIDE, SIDE), np.uint8)
    for centre in np.ndindex(PER_SIDE, PER_SIDE):
        cy, cx = np.multiply(centre, SIDE / PER_SIDE) + rng.integers(-3, 4, 2)
        # Discs go on beyond a side of the block at its other side.
        dy, dx = ((offset + SIDE // 2) % SIDE - SIDE // 2 for offset in (y - cy, x - cx))
        classes[dy**2 + dx**2 <= RADIUS**2] = 1
    return label_block(classes, RULE), rng.integers(0, 256, classes.shape, np.uint8)


def grid_of(num_objects: int, per_block: int) -> BlockGrid:
    """A square of blocks with about so many objects."""
    side = max(1, round(math.sqrt(num_objects / per_block)))
    return BlockGrid(Box.of_shape((side * SIDE, side * SIDE)), (SIDE, SIDE))


def fragments(grid: BlockGrid, labels: np.ndarray) -> Iterator[BlockFragments]:
    """Fragments of all blocks, in C order, as if each had been labelled."""
    width = grid.region.shape[1]
    first = fragments_of_labels(labels, Box.of_shape(labels.shape), grid.region, ndim=2)
    for row, column in np.ndindex(*grid.shape):
        moved = first.first_voxels + (row * SIDE * width + column * SIDE)
        yield BlockFragments(first.sizes, moved, first.low_faces, first.high_faces)


def sums(
    grid: BlockGrid, labels: np.ndarray, grey: np.ndarray, ids: ObjectIds
) -> Iterator[ObjectSums]:
    """Sums of all blocks, in C order."""
    for index in np.ndindex(*grid.shape):
        numbers = ids.of_block(grid.number(index))
        yield sums_of_block(numbers[labels], grid.box(index), grid.region, {"grey": grey})


def measure(num_objects: int) -> dict[str, float]:
    """Seconds of each step, and the peak memory of this process in bytes."""
    labels, grey = template()
    grid = grid_of(num_objects, PER_SIDE**2)
    times = [time.perf_counter()]
    stitched = stitch(grid, fragments(grid, labels))
    times.append(time.perf_counter())
    ids = number_objects(stitched)
    num_fragments = stitched.num_fragments
    del stitched
    times.append(time.perf_counter())
    with tempfile.TemporaryDirectory(prefix="bigunet-") as folder:
        bands = merged_bands(sums(grid, labels, grey, ids), scratch=Path(folder))
        described = Described(grid.region.shape, (0.5, 0.5), class_name="disc")
        write_table(table_bands(bands, described), Path(folder, "table.parquet"))
        table_bytes = Path(folder, "table.parquet").stat().st_size
    times.append(time.perf_counter())
    stitching, numbering, measuring = np.diff(times).tolist()
    return {
        "objects": ids.num_objects,
        "fragments": num_fragments,
        "blocks": grid.num_blocks,
        "stitch_seconds": round(stitching, 3),
        "number_seconds": round(numbering, 3),
        "measure_seconds": round(measuring, 3),
        "table_bytes": table_bytes,
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def plot(runs: list[dict[str, float]], path: Path) -> None:
    """Time and memory against the number of objects."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    objects = [run["objects"] for run in runs]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for name in ("stitch", "number", "measure"):
        left.loglog(objects, [run[f"{name}_seconds"] for run in runs], "o-", label=name)
    left.set(xlabel="objects", ylabel="seconds", title="Time")
    left.legend()
    right.semilogx(objects, [run["peak_memory_bytes"] / 1e9 for run in runs], "o-")
    right.set(xlabel="objects", ylabel="GB", title="Peak memory", ylim=0)
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, nargs="?", help="file for the figures, as JSON")
    parser.add_argument("--objects", type=int, nargs="+", default=[10**k for k in range(4, 8)])
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.one)))
        return
    runs = []
    for number in arguments.objects:
        command = [sys.executable, __file__, "--one", str(number)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        runs.append(json.loads(done.stdout))
        print(runs[-1], file=sys.stderr)
    if arguments.out:
        arguments.out.write_text(json.dumps(runs, indent=2) + "\n")
    if arguments.plot:
        plot(runs, arguments.plot)


if __name__ == "__main__":
    main()
