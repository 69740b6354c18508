"""Boxes that together cover a volume, or that are spread evenly over it; pure numbers.

::

    . . . . . . . .      A sample of 4 of 32 chunks, as even along each axis as the grid allows.
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
    """Shape of a slab of whole chunks with at most ``voxels`` voxels, but of one chunk at least.

    Chunks are put together along the last axis first.
    """
    slab = list(chunk)
    for axis in reversed(range(len(slab))):
        times = max(1, voxels // math.prod(slab))
        slab[axis] = min(shape[axis], slab[axis] * times)
    return tuple(slab)


def grid_boxes(region: Box, slab: Sequence[int]) -> Iterator[Box]:
    """Boxes that partition the region. Inside it they begin at multiples of the slab."""
    starts = [
        sorted({a, *range(ceil_div(a, step) * step, b, step)})
        for a, b, step in zip(region.start, region.stop, slab)
    ]
    for start in itertools.product(*starts):
        yield _box_at(start, slab, region)


def spread_boxes(region: Box, chunk: Sequence[int], voxels: int) -> Iterator[Box]:
    """Chunks, spaced evenly along each axis of the region, with at most ``voxels`` voxels in all.

    There is one chunk at least.
    """
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
    """Number of cells to take per axis, as equal as the grid allows; ``total`` in all at most."""
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
    """The cell of a grid that holds a position, cut to the region."""
    ends = [
        (max(a, begin), min(a // n * n + n, end))
        for a, n, begin, end in zip(start, shape, region.start, region.stop)
    ]
    return Box(tuple(a for a, _ in ends), tuple(b for _, b in ends))
