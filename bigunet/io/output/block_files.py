"""Counts and sizes of the files of each block of an output, to see whether a file was lost."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bigunet.geometry import Point
from bigunet.io.output.output_image import OutputImage
from bigunet.io.output.writing import writing


@dataclass(frozen=True, slots=True)
class Files:
    """Number of some files, and their size in bytes, all together."""

    count: int = 0
    num_bytes: int = 0

    def __add__(self, other: Files) -> Files:
        return Files(self.count + other.count, self.num_bytes + other.num_bytes)

    def to_list(self) -> list[int]:
        """The two numbers, as the ledger keeps them."""
        return [self.count, self.num_bytes]


def files_of_blocks(outputs: Sequence[OutputImage], group: int) -> npt.NDArray[np.int64]:
    """Count the files of each block of a group of levels, in all outputs.

    Parameters
    ----------
    outputs : sequence of OutputImage
        Outputs of the same layout.
    group : int
        Number of the group in the layout.

    Returns
    -------
    ndarray, shape (blocks, 2)
        Number of files and their size in bytes, for each block in C order.

    Raises
    ------
    OutputError
        If a folder cannot be read.
    """
    counts = np.zeros((math.prod(outputs[0].layout.grid_shape(group)), 2), np.int64)
    for output in outputs:
        for level in output.layout.groups[group]:
            folder = os.path.join(output.store, output.group, str(level))
            with writing(folder):
                for block, size in _files_of_level(output, group, level, folder):
                    counts[block] += (1, size)
    return counts


def sources_of_block(output: OutputImage, group: int, index: Point) -> tuple[slice, ...]:
    """The blocks of the previous group from which a block of a group is made, as slices."""
    layout = output.layout
    level = layout.groups[group][0]
    start = tuple(i * s for i, s in zip(index, layout.levels[level].shard))
    stop = tuple(min(a + s, n) for a, s, n in zip(start, *_extents(output, level)))
    step, before = layout.step(level), layout.levels[level - 1]
    return tuple(
        slice(a * f // s, -(-min(b * f, n) // s))
        for a, b, f, s, n in zip(start, stop, step, before.shard, before.shape)
    )


def _extents(output: OutputImage, level: int) -> tuple[Point, Point]:
    return output.layout.levels[level].shard, output.layout.levels[level].shape


def _files_of_level(
    output: OutputImage, group: int, level: int, folder: str
) -> Iterator[tuple[int, int]]:
    """Block number and size of each file of a level that has the path of a block's file."""
    described = output.layout.levels[level]
    sharded = output.is_sharded
    extent = described.shard if sharded else described.chunk
    grid = output.layout.grid_shape(group)
    names = [axis.name for axis in output.axes]
    order = [names.index(name) for name in output.canonical_names]
    top = os.path.join(folder, "c") if sharded else folder
    for cell, size in _cells(top, len(names), ()):
        index = [cell[k] * e // s for k, e, s in zip(order, extent, described.shard)]
        if all(i < n for i, n in zip(index, grid)):
            yield int(np.ravel_multi_index(index, grid)), size


def _cells(folder: str, depth: int, cell: Point) -> Iterator[tuple[Point, int]]:
    """Index and size of each file below a folder; the path of a file is ``depth`` numbers."""
    try:
        entries = os.scandir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    with entries:
        for entry in entries:
            # Zarr writes no leading zeros: 07 is another file than 7.
            if not (entry.name.isascii() and entry.name.isdigit()):
                continue
            number = int(entry.name)
            if str(number) != entry.name:
                continue
            if depth > 1:
                yield from _cells(entry.path, depth - 1, (*cell, number))
            elif entry.is_file():
                yield (*cell, number), entry.stat().st_size
