"""Time and memory to stitch, number and measure many objects, against their number.

    python benchmarks/many_objects.py OUT.json [--objects 10000 100000 ...] [--plot OUT.png]

A block with 121 discs in 256 x 256 voxels, or 125 balls in 128 x 128 x 128 voxels (``--ndim 3``),
is repeated. Its neighbours are itself, so that objects on its faces are joined over the blocks
beside it. No voxels are stored. Each number of objects runs in a process of its own, which reports
its peak memory; what it has before it stitches is reported, too. Numbers that are too many for
memory lie in files of a temporary folder (``TMPDIR``), as in a run of ``bigunet segment``.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
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
from bigunet.objects.numbering import rank
from bigunet.objects.rule import ObjectRule
from bigunet.objects.scratch import Scratch
from bigunet.objects.stitching import stitch
from bigunet.segmentation.instances.fragment_files import FragmentFiles
from bigunet.segmentation.instances.object_ids import save_ids

SIDES = {2: 256, 3: 128}
PER_SIDE = {2: 11, 3: 5}
RADIUS = 6
RECKONED = 10**9


def template(ndim: int) -> tuple[np.ndarray, np.ndarray]:
    """Fragments and grey values of the block that is repeated."""
    side, per_side = SIDES[ndim], PER_SIDE[ndim]
    places = np.ogrid[(slice(side),) * ndim]
    rng = np.random.default_rng(0)
    classes = np.zeros((side,) * ndim, np.uint8)
    for centre in np.ndindex(*(per_side,) * ndim):
        middle = np.multiply(centre, side / per_side) + rng.integers(-3, 4, ndim)
        # Objects go on beyond a side of the block at its other side.
        apart = [(p - m + side // 2) % side - side // 2 for p, m in zip(places, middle)]
        classes[sum(along**2 for along in apart) <= RADIUS**2] = 1
    grey = rng.integers(0, 256, classes.shape, np.uint8)
    return label_block(classes, ObjectRule(1, ndim=ndim)), grey


def grid_of(num_objects: int, ndim: int) -> BlockGrid:
    """As many blocks along each axis, with about so many objects."""
    num_blocks = num_objects / PER_SIDE[ndim] ** ndim
    blocks_per_side = max(1, round(num_blocks ** (1 / ndim)))
    side = SIDES[ndim]
    return BlockGrid(Box.of_shape((blocks_per_side * side,) * ndim), (side,) * ndim)


def fragments(grid: BlockGrid, labels: np.ndarray) -> Iterator[BlockFragments]:
    """Fragments of all blocks, in C order, as if each had been labelled."""
    first = fragments_of_labels(labels, Box.of_shape(labels.shape), grid.region)
    for index in np.ndindex(*grid.shape):
        start = np.ravel_multi_index(grid.box(index).start, grid.region.shape)
        moved = first.first_voxels + start
        yield BlockFragments(first.sizes, moved, first.low_faces, first.high_faces)


def sums(
    grid: BlockGrid, labels: np.ndarray, grey: np.ndarray, files: FragmentFiles
) -> Iterator[ObjectSums]:
    """Sums of all blocks, in C order."""
    offsets, ids = np.load(files.offsets), np.load(files.ids, mmap_mode="r")
    for number, index in enumerate(np.ndindex(*grid.shape)):
        numbers = np.zeros(offsets[number + 1] - offsets[number] + 1, ids.dtype)
        numbers[1:] = ids[offsets[number] : offsets[number + 1]]
        yield sums_of_block(numbers[labels], grid.box(index), grid.region, {"grey": grey})


def peak_bytes() -> int:
    """Most memory that this process had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(num_objects: int, ndim: int, *, with_table: bool) -> dict[str, float]:
    """Seconds of each step, and the peak memory of this process in bytes."""
    labels, grey = template(ndim)
    grid = grid_of(num_objects, ndim)
    with tempfile.TemporaryDirectory(prefix="bigunet-") as folder:
        files = FragmentFiles(Path(folder))
        figures = numbered(grid, labels, files)
        if with_table:
            begun = time.perf_counter()
            table = Path(folder, "table.parquet")
            bands = merged_bands(sums(grid, labels, grey, files), scratch=Path(folder))
            described = Described(grid.region.shape, (0.5,) * ndim, class_name="disc")
            write_table(table_bands(bands, described), table)
            figures["measure_seconds"] = round(time.perf_counter() - begun, 3)
            figures["table_bytes"] = table.stat().st_size
    return figures | {"peak_memory_bytes": peak_bytes()}


def numbered(grid: BlockGrid, labels: np.ndarray, files: FragmentFiles) -> dict[str, float]:
    """Stitch and number the fragments of all blocks, as a run does, and write their ids."""
    before, begun = peak_bytes(), time.perf_counter()
    with Scratch(files.folder) as scratch:
        stitched = stitch(grid, fragments(grid, labels), scratch=scratch)
        stitched_at = time.perf_counter()
        ids = rank(stitched)
        save_ids(files, ids)
        numbered_at = time.perf_counter()
        columns = (stitched.targets, stitched.sizes, stitched.first_voxels, ids.ids)
        scratch_bytes = sum(len(column) * column.dtype.itemsize for column in columns)
    return {
        "objects": ids.num_objects,
        "fragments": stitched.num_fragments,
        "blocks": grid.num_blocks,
        "blocks_of_a_layer": math.prod(grid.shape[1:]),
        "most_open_objects": max(batch.num_open for batch in stitched.batches),
        "stitch_seconds": round(stitched_at - begun, 3),
        "number_seconds": round(numbered_at - stitched_at, 3),
        "scratch_bytes": scratch_bytes,
        "start_memory_bytes": before,
        "stitch_memory_bytes": peak_bytes(),
    }


def reckoned(runs: list[dict[str, float]], ndim: int) -> dict[str, float]:
    """Time and memory of a thousand million objects, from the two largest runs.

    Times and files grow in proportion to the number of objects. Memory grows with the blocks of a
    layer, by 8 bytes for each block, and by 8 bytes for 1024 objects. What grows between the two
    runs is all counted for the layer.
    """
    one, other = sorted(runs, key=lambda run: run["objects"])[-2:]
    grid, times = grid_of(RECKONED, ndim), RECKONED / other["objects"]
    layers = [run["blocks_of_a_layer"] for run in (one, other)] + [math.prod(grid.shape[1:])]
    memory = [run["stitch_memory_bytes"] for run in (one, other)]
    per_block = max(0, memory[1] - memory[0]) / max(1, layers[1] - layers[0])
    more = per_block * (layers[2] - layers[1]) + 8 * grid.num_blocks + 8 * RECKONED / 1024
    names = ("stitch_seconds", "number_seconds", "scratch_bytes")
    figures = {name: round(other[name] * times) for name in names}
    return {
        "objects": RECKONED,
        "ndim": ndim,
        "blocks": grid.num_blocks,
        "blocks_of_a_layer": layers[2],
        "stitch_memory_bytes": round(memory[1] + more),
        **figures,
    }


def machine() -> dict[str, str]:
    """What the figures depend on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores",
        "load": f"{os.getloadavg()[1]:.1f} in the 5 minutes before the end; other work runs, too",
        "versions": f"Python {platform.python_version()}, numpy {np.__version__}",
    }


def plot(runs: list[dict[str, float]], path: Path) -> None:
    """Time and memory against the number of objects."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for name in ("stitch", "number", "measure"):
        known = [run for run in runs if f"{name}_seconds" in run]
        seconds = [run[f"{name}_seconds"] for run in known]
        left.loglog([run["objects"] for run in known], seconds, "o-", label=name)
    left.set(xlabel="objects", ylabel="seconds", title="Time")
    left.legend()
    objects = [run["objects"] for run in runs]
    memory = [run["stitch_memory_bytes"] / 1e9 for run in runs]
    right.semilogx(objects, memory, "o-", label="stitch and number")
    tables = [run for run in runs if "measure_seconds" in run]
    memory = [run["peak_memory_bytes"] / 1e9 for run in tables]
    right.semilogx([run["objects"] for run in tables], memory, "o-", label="with the table")
    right.legend()
    right.set(xlabel="objects", ylabel="GB", title="Peak memory", ylim=0)
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, nargs="?", help="file for the figures, as JSON")
    parser.add_argument("--objects", type=int, nargs="+", default=[10**k for k in range(4, 8)])
    parser.add_argument("--ndim", type=int, choices=(2, 3), default=2)
    parser.add_argument("--most-measured", type=int, default=10**7, help="with a table up to this")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        with_table = arguments.one <= arguments.most_measured
        print(json.dumps(measure(arguments.one, arguments.ndim, with_table=with_table)))
        return
    runs: list[dict[str, float]] = []
    for number in arguments.objects:
        command = [sys.executable, __file__, "--one", str(number), "--ndim", str(arguments.ndim)]
        command += ["--most-measured", str(arguments.most_measured)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        runs.append(json.loads(done.stdout))
        print(runs[-1], file=sys.stderr)
    if arguments.out:
        figures: dict[str, object] = {"machine": machine(), "runs": runs}
        if len(runs) > 1:
            figures["reckoned"] = reckoned(runs, arguments.ndim)
        arguments.out.write_text(json.dumps(figures, indent=2) + "\n")
    if arguments.plot:
        plot(runs, arguments.plot)


if __name__ == "__main__":
    main()
