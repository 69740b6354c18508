"""Sums of a volume block by block, in threads: which blocks, and how many at a time."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from bigunet.blocks import BlockGrid
from bigunet.errors import OptionError
from bigunet.geometry import Box, Point
from bigunet.machine.cores import cores
from bigunet.measuring.sums import ObjectSums

_BLOCK_VOXELS = 1 << 21
"""Of a block, unless one is given: its working memory of some 100 bytes a voxel stays small."""

_MOST_THREADS = 8
"""Each has a block in memory; more threads than these mostly wait for one another."""


class Voxels(Protocol):
    """A volume of objects."""

    @property
    def shape(self) -> Point: ...

    def sums(self, box: Box) -> ObjectSums:
        """Sums of the objects in a box."""
        ...


def sums_of_blocks(
    voxels: Voxels, block_shape: Point, *, num_threads: int | None = None
) -> Iterator[ObjectSums]:
    """Sums of each block in turn; of an empty block where there is none.

    Twice as many blocks as threads are in memory.
    """
    grid = BlockGrid(Box.of_shape(voxels.shape), block_shape)
    empty = Box.of_shape((0,) * grid.region.ndim)
    boxes = (grid.box(index) for index in grid.traversal()) if grid.num_blocks else iter([empty])
    num_threads = num_threads or min(cores(), _MOST_THREADS)
    with ThreadPoolExecutor(num_threads) as pool:
        window: deque[Future[ObjectSums]] = deque()
        try:
            for box in boxes:
                window.append(pool.submit(voxels.sums, box))
                if len(window) > 2 * num_threads:
                    yield window.popleft().result()
            while window:
                yield window.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def checked_block_shape(given: Sequence[int], shape: Point) -> Point:
    """The shape that a user gives.

    Raises
    ------
    OptionError
        If it does not fit.
    """
    block = tuple(int(n) for n in given)
    if len(block) != len(shape) or min(block) < 1:
        raise OptionError(f"block_shape is {block}; give {len(shape)} numbers of voxels above 0")
    return block


def usual_block_shape(shape: Point, chunk: Point | None = None) -> Point:
    """Whole chunks, as many as are small enough; without chunks, a part of the whole.

    >>> usual_block_shape((10, 4096, 4096), (1, 512, 512))
    (1, 2048, 1024)
    """
    shape = tuple(max(1, n) for n in shape)
    if chunk is None:
        return _halved(shape)
    block = _halved(tuple(min(c, n) for c, n in zip(chunk, shape)))
    # Space first, from the axis that has the fewest voxels.
    for axes in (range(max(0, len(shape) - 2), len(shape)), range(len(shape) - 2)):
        for axis in itertools.chain.from_iterable(itertools.repeat([*axes], 64)):
            longer = tuple(
                min(2 * n, m) if a == axis else n for a, (n, m) in enumerate(zip(block, shape))
            )
            if Box.of_shape(longer).size <= _BLOCK_VOXELS:
                block = longer
    return block


def _halved(shape: Point) -> Point:
    """Of this shape, the longest axis halved until it is small enough."""
    block = Box.of_shape(shape)
    while block.size > _BLOCK_VOXELS:
        longest = max(range(block.ndim), key=lambda axis: block.shape[axis])
        halved = (-(-n // 2) if axis == longest else n for axis, n in enumerate(block.shape))
        block = Box.of_shape(tuple(halved))
    return block.shape
