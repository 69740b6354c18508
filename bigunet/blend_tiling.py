"""Tiles that overlap, for networks that cannot be exact: one grid over the whole image.

::

    image      |<------------------------------------------>|
    scores 1   |<-------------->|
    scores 2           |<-------------->|
    scores 3                   |<-------------->|
    scores 4                            |<-------------->|  ends where the image ends

The grid depends on the image and the tile alone. A block computes all tiles that touch it, so that
each voxel is averaged over the same tiles in any block.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bigunet.blocks import BlockGrid
from bigunet.errors import GeometryError
from bigunet.geometry import Box, Point, ceil_div, hull
from bigunet.receptive import ReceptiveField
from bigunet.tiling import Tile

# Gaussians of an eighth of the tile, and a step of half a tile, as in nnU-Net.
_SIGMA, _STEP = 1 / 8, 1 / 2


@dataclass(frozen=True)
class BlendTiling:
    """Cuts boxes into overlapping tiles of one shape.

    Parameters
    ----------
    image_shape : tuple of int
        Shape of the whole level, along the axes of the volume.
    tile_shape : tuple of int
        What the network reads for a tile; 1 along an axis that it does not see.
    border : tuple of int
        Voxels by which the scores of a tile are smaller, on each side.

    Raises
    ------
    GeometryError
        If a tile has no scores, or if the shapes have different axes.

    References
    ----------
    Isensee et al. 2021, nnU-Net, doi:10.1038/s41592-020-01008-z.
    """

    image_shape: Point
    tile_shape: Point
    border: Point

    def __post_init__(self) -> None:
        if not len(self.image_shape) == len(self.tile_shape) == len(self.border):
            raise GeometryError(f"tiles {self.tile_shape} for an image {self.image_shape}")
        if any(n < 1 for n in self.scores_shape):
            raise GeometryError(f"tiles {self.tile_shape} lose {self.border} on each side")

    @property
    def scores_shape(self) -> Point:
        """Voxels along each axis that a tile has scores for."""
        return tuple(n - 2 * b for n, b in zip(self.tile_shape, self.border))

    @property
    def method(self) -> str:
        """How the result comes about, for people."""
        shape = " × ".join(str(n) for n in self.tile_shape if n > 1)
        return f"blended, not exact: overlapping tiles of {shape} with Gaussian weights"

    @property
    def field(self) -> ReceptiveField:
        """Context that a block may read on each side: all of a tile but one voxel."""
        halo = tuple(n - 1 + b for n, b in zip(self.scores_shape, self.border))
        ones = (1,) * len(halo)
        return ReceptiveField(ones, self.border, halo, (0,) * len(halo))

    @cached_property
    def starts(self) -> tuple[tuple[int, ...], ...]:
        """Where the scores of tiles start along each axis: evenly spaced, within the image."""
        return tuple(map(_starts, self.image_shape, self.scores_shape))

    def halved(self) -> BlendTiling:
        """No tile is smaller: with smaller tiles the network gives something else.

        Raises
        ------
        MemoryError
            Always.
        """
        raise MemoryError(
            f"the memory does not hold a forward pass of a tile of {self.tile_shape}: give a "
            "smaller --tile-shape, with which the result is another one"
        )

    def tiles(self, box: Box) -> Iterator[Tile]:
        """All tiles with scores in ``box``, in C order; what they keep overlaps."""
        for start in itertools.product(*(self._touching(box, axis) for axis in range(box.ndim))):
            scores = Box(start, tuple(a + n for a, n in zip(start, self.scores_shape)))
            yield Tile(scores.grow(self.border), scores, scores.intersection(box))

    def read_box(self, box: Box) -> Box:
        """The voxels that the tiles of ``box`` read."""
        ends = [self._touching(box, axis) for axis in range(box.ndim)]
        first = Box(tuple(s[0] for s in ends), tuple(s[0] + 1 for s in ends))
        last = tuple(s[-1] for s in ends)
        stop = tuple(a + n for a, n in zip(last, self.scores_shape))
        return hull([first, Box(last, stop)]).grow(self.border)

    def num_tiles(self, box: Box) -> int:
        """Number of tiles that :meth:`tiles` gives."""
        return math.prod(len(self._touching(box, axis)) for axis in range(box.ndim))

    def kinds_along(self, grid: BlockGrid, axis: int) -> list[tuple[int, int, int]]:
        """One block of each kind along an axis (start, stop), and the number of such blocks.

        Blocks of a kind have equally many tiles, and read and write equally many voxels.
        """
        kinds: dict[tuple[int, int, int], list[int]] = {}
        for number in range(grid.shape[axis]):
            index = tuple(number if a == axis else 0 for a in range(grid.region.ndim))
            block = grid.box(index)
            starts = self._touching(block, axis)
            key = len(starts), starts[-1] - starts[0], block.shape[axis]
            kinds.setdefault(key, [block.start[axis], block.stop[axis], 0])[2] += 1
        return [(start, stop, count) for start, stop, count in kinds.values()]

    def _touching(self, box: Box, axis: int) -> tuple[int, ...]:
        starts = self.starts[axis]
        first = bisect_right(starts, box.start[axis] - self.scores_shape[axis])
        return starts[first : bisect_left(starts, box.stop[axis])]


def _starts(size: int, tile: int) -> tuple[int, ...]:
    """Starts of tiles along an axis: the first begins and the last ends with the image.

    A tile that is longer than the image has it in its middle.

    >>> _starts(100, 40), _starts(40, 40), _starts(30, 40)
    ((0, 20, 40, 60), (0,), (-5,))
    """
    if size <= tile:
        return (-((tile - size) // 2),)
    step = max(1, int(tile * _STEP))
    last = ceil_div(size - tile, step)
    # In whole numbers, rounded half up, so that every machine gives the same.
    return tuple((2 * k * (size - tile) + last) // (2 * last) for k in range(last + 1))


def blend_weights(shape: Point) -> np.ndarray:
    """The weight of each voxel of a tile's scores: float32, 1 in the middle, above 0 elsewhere."""
    weights = np.ones((), np.float64)
    for size in shape:
        distance = np.arange(size) - (size - 1) / 2
        along = np.exp(-0.5 * (distance / (size * _SIGMA)) ** 2)
        weights = weights[..., np.newaxis] * along
    # In float32 the corners of a volume would round to nothing beside their middle.
    weights = np.maximum(weights / weights.max(), 1e-6)
    return np.asarray(weights, np.float32)
