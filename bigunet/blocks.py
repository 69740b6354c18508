"""The grid of blocks: which voxels each block writes, and in which order blocks are done.

::

    region, cut into blocks of one shape     order of work: a Z-order curve
    +---------+---------+-----+              +---------+---------+-----+
    | (0, 0)  | (0, 1)  |(0,2)|              |    1    |    3    |  4  |
    |         |         |     |              +---------+---------+-----+
    +---------+---------+-----+              |    2    |    5    |  6  |
    | (1, 0)  | (1, 1)  |(1,2)|              +---------+---------+-----+
    +---------+---------+-----+

The last block of each axis may be smaller. Nothing here lists all blocks: there may be millions.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from bigunet.errors import GeometryError
from bigunet.geometry import Box, Point, ceil_div


@dataclass(frozen=True, slots=True)
class BlockGrid:
    """A box cut into blocks of one shape; the last of each axis may be smaller.

    Parameters
    ----------
    region : Box
        The box to cut, in voxels of the level.
    block_shape : tuple of int
        Voxels of a block per axis.

    Raises
    ------
    GeometryError
        If the block shape has an empty axis, or not as many axes as the region.
    """

    region: Box
    block_shape: Point

    def __post_init__(self) -> None:
        if len(self.block_shape) != self.region.ndim:
            raise GeometryError(
                f"blocks of {len(self.block_shape)} axes for a volume of {self.region.ndim}"
            )
        if any(n < 1 for n in self.block_shape):
            raise GeometryError(f"block shape {self.block_shape} has an empty axis")

    @property
    def shape(self) -> Point:
        """Number of blocks along each axis."""
        return tuple(ceil_div(n, b) for n, b in zip(self.region.shape, self.block_shape))

    @property
    def num_blocks(self) -> int:
        return math.prod(self.shape)

    def box(self, index: Point) -> Box:
        """The voxels of the block at ``index``."""
        start = tuple(o + i * b for o, i, b in zip(self.region.start, index, self.block_shape))
        whole = Box(start, tuple(a + b for a, b in zip(start, self.block_shape)))
        return whole.intersection(self.region)

    def overlapping(self, box: Box) -> Iterator[Point]:
        """Indices of the blocks that share voxels with a box inside the region, in C order.

        >>> list(BlockGrid(Box((2,), (20,)), (6,)).overlapping(Box((7,), (14,))))
        [(0,), (1,)]
        """
        origin = self.region.start
        first = [(a - o) // b for a, o, b in zip(box.start, origin, self.block_shape)]
        after = [ceil_div(a - o, b) for a, o, b in zip(box.stop, origin, self.block_shape)]
        yield from itertools.product(*map(range, first, after))

    def phases(self, axis: int, stride: int) -> Counter[tuple[int, int]]:
        """Count the blocks along an axis by their phase and their length.

        The phase is the number of voxels from the last multiple of the stride to the block's start.

        Returns
        -------
        Counter
            Number of blocks for each pair of phase and length, counted without a pass over all.

        >>> BlockGrid(Box((0,), (35,)), (6,)).phases(0, 4)
        Counter({(0, 6): 3, (2, 6): 2, (2, 5): 1})
        """
        stop, step = self.region.stop[axis], self.block_shape[axis]
        starts = range(self.region.start[axis], stop, step)
        if not starts:
            return Counter()
        whole, last = starts[:-1], starts[-1]
        period = stride // math.gcd(step, stride)
        counts: Counter[tuple[int, int]] = Counter()
        for number, start in enumerate(whole[:period]):
            counts[start % stride, step] += len(whole[number::period])
        counts[last % stride, stop - last] += 1
        return counts

    def number(self, index: Point) -> int:
        """Number of a block in C order, by which the ledger names it."""
        number = 0
        for i, n in zip(index, self.shape):
            number = number * n + i
        return number

    def traversal(self) -> Iterator[Point]:
        """Every index once, along a Z-order curve, so that neighbours are done at similar times."""
        yield from _halves(Box.of_shape(self.shape))


def _halves(box: Box) -> Iterator[Point]:
    """Indices of ``box``: its longest axis is halved until one index is left."""
    if box.size == 0:
        return
    if box.size == 1:
        yield box.start
        return
    axis = max(range(box.ndim), key=lambda a: box.shape[a])
    middle = (box.start[axis] + box.stop[axis]) // 2
    for start, stop in ((box.start[axis], middle), (middle, box.stop[axis])):
        lower = (*box.start[:axis], start, *box.start[axis + 1 :])
        upper = (*box.stop[:axis], stop, *box.stop[axis + 1 :])
        yield from _halves(Box(lower, upper))
