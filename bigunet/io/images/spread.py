"""Which boxes of a volume are looked at: all of it in slabs, or evenly spread chunks; pure numbers.

::

    . . . . . . . .      A sample of 4 of 32 chunks: as even along every axis as the grid allows.
    . . # . . . # .
    . . . . . . . .
    . . # . . . # .
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

from bigunet.geometry import Box, ceil_div


def slab_shape(shape: Sequence[int], chunk: Sequence[int], voxels: int) -> tuple[int, ...]:
    """Whole chunks, as many as ``voxels`` hold, put together along the last axes first."""
    slab = list(chunk)
    for axis in reversed(range(len(slab))):
        times = max(1, voxels // math.prod(slab))
        slab[axis] = min(shape[axis], slab[axis] * times)
    return tuple(slab)


def grid_boxes(region: Box, slab: Sequence[int]) -> Iterator[Box]:
    """Boxes that partition the region; inside it they begin at multiples of the slab."""
    starts = [
        sorted({a, *range(ceil_div(a, step) * step, b, step)})
        for a, b, step in zip(region.start, region.stop, slab)
    ]
    for start in itertools.product(*starts):
        yield _box_at(start, slab, region)


def spread_boxes(region: Box, chunk: Sequence[int], voxels: int) -> Iterator[Box]:
    """Chunks evenly spaced along every axis of the region, as many as ``voxels`` hold."""
    firsts = [a // step for a, step in zip(region.start, chunk)]
    grid = [ceil_div(b, step) - a for a, b, step in zip(firsts, region.stop, chunk)]
    counts = _spread_counts(grid, max(1, voxels // math.prod(chunk)))
    picks = [
        [(first + (2 * i + 1) * cells // (2 * count)) * step for i in range(count)]
        for first, cells, count, step in zip(firsts, grid, counts, chunk)
    ]
    for start in itertools.product(*picks):
        yield _box_at(start, chunk, region)


def _spread_counts(grid: Sequence[int], total: int) -> tuple[int, ...]:
    """How many cells to pick per axis: as even as the grid allows, at most ``total`` in all."""
    low, high = 1, max(grid)
    while low < high:
        middle = (low + high + 1) // 2
        if math.prod(min(cells, middle) for cells in grid) <= total:
            low = middle
        else:
            high = middle - 1
    counts = [min(cells, low) for cells in grid]
    for axis, cells in reversed(list(enumerate(grid))):
        others = math.prod(counts) // counts[axis]
        counts[axis] = min(cells, total // others)
    return tuple(counts)


def _box_at(start: Sequence[int], shape: Sequence[int], region: Box) -> Box:
    """The box of a grid that holds a position, as far as it lies in the region."""
    ends = [
        (max(a, begin), min(a // n * n + n, end))
        for a, n, begin, end in zip(start, shape, region.start, region.stop)
    ]
    return Box(tuple(a for a, _ in ends), tuple(b for _, b in ends))
