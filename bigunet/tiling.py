"""The overlap-tile plan of a box: which tiles the network reads, and which part of each is kept.

::

    input of tile 1   |<--halo-->|<---- kept ---->|<--halo-->|
    input of tile 2                    |<--halo-->|<---- kept ---->|<--halo-->|
    box                          |<------------------------------->|

The kept parts cover the box without overlap; the inputs overlap. Every tile starts at a multiple
of the stride, counted from voxel 0 of the level. The network's poolings therefore cover the same
voxels in every tile, block and run.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from bigunet.blocks import BlockGrid
from bigunet.errors import GeometryError
from bigunet.geometry import Box, Point, ceil_div, hull, round_up
from bigunet.receptive import ReceptiveField


@dataclass(frozen=True, slots=True)
class Tile:
    """One forward pass.

    Parameters
    ----------
    input : Box
        The voxels that the network reads.
    scores : Box
        The voxels that the network returns scores for: ``input`` without the border.
    output : Box
        The voxels whose scores are kept. They are exact, and no other tile keeps them.
    """

    input: Box
    scores: Box
    output: Box

    def __post_init__(self) -> None:
        if not self.input.contains(self.scores) or not self.scores.contains(self.output):
            raise GeometryError(f"tile keeps {self.output} of scores {self.scores}")


@dataclass(frozen=True, slots=True)
class Tiling:
    """Cuts boxes into tiles.

    Parameters
    ----------
    field : ReceptiveField
        Receptive field of the network, with one entry per axis of the volume.
    tile_shape : tuple of int
        The largest number of voxels that a tile keeps, per axis. It is rounded down to whole
        strides, to one stride at least. An axis that the network does not see has 1.

    Raises
    ------
    GeometryError
        If the tile shape has an empty axis, or not as many axes as the field.

    Notes
    -----
    The overlap-tile strategy of Ronneberger et al. 2015, doi:10.1007/978-3-319-24574-4_28.
    """

    field: ReceptiveField
    tile_shape: Point

    def __post_init__(self) -> None:
        if len(self.tile_shape) != self.field.ndim:
            raise GeometryError(
                f"tiles of {len(self.tile_shape)} axes for a network of {self.field.ndim}"
            )
        if any(n < 1 for n in self.tile_shape):
            raise GeometryError(f"tile shape {self.tile_shape} has an empty axis")

    def halved(self, *, last: int | None = None) -> Tiling:
        """A tiling with smaller tiles: the longest axis that is longer than a stride is halved.

        Parameters
        ----------
        last : int, optional
            An axis that is halved only if no other one can be.

        Raises
        ------
        MemoryError
            If no axis is longer than a stride, so that no smaller tile is left to try.
        """
        axes = [axis for axis, n in enumerate(self.tile_shape) if n > self.field.stride[axis]]
        if not axes:
            raise MemoryError("the memory does not hold a forward pass of the smallest tile")
        longest = max(axes, key=lambda axis: (axis != last, self.tile_shape[axis]))
        half = round_up(ceil_div(self.tile_shape[longest], 2), self.field.stride[longest])
        return Tiling(
            self.field,
            tuple(half if axis == longest else n for axis, n in enumerate(self.tile_shape)),
        )

    def tiles(self, box: Box) -> Iterator[Tile]:
        """Tiles in C order, all of one input shape. Their outputs cover ``box`` without overlap."""
        axes = [self._starts(box, axis) for axis in range(box.ndim)]
        step = tuple(step for _, step in axes)
        size = self.field.input_shape(step)
        scores_size = self.field.scores_shape(size)
        for start in itertools.product(*(starts for starts, _ in axes)):
            origin = tuple(a - h for a, h in zip(start, self.field.halo))
            inner = tuple(a + b for a, b in zip(origin, self.field.border))
            yield Tile(
                input=_box(origin, size),
                scores=_box(inner, scores_size),
                output=_box(start, step).intersection(box),
            )

    def read_box(self, box: Box) -> Box:
        """The voxels that the tiles of ``box`` read.

        These are ``box``, its halo, and what the last tile of each axis reads beyond them.
        """
        return hull(tile.input for tile in self._corners(box))

    def num_tiles(self, box: Box) -> int:
        """Number of tiles that :meth:`tiles` gives."""
        total = 1
        for axis in range(box.ndim):
            total *= len(self._starts(box, axis)[0])
        return total

    def kinds_along(self, grid: BlockGrid, axis: int) -> list[tuple[int, int, int]]:
        """One block of each kind along an axis (start, stop), and the number of such blocks.

        Blocks of one length and one phase, which is where they start within the stride, have the
        same tiles. The starts that are given are these phases.
        """
        phases = grid.phases(axis, self.field.stride[axis])
        return [(phase, phase + length, count) for (phase, length), count in phases.items()]

    def _starts(self, box: Box, axis: int) -> tuple[range, int]:
        """First output voxel of each tile along an axis, and the step between them."""
        start, stop = box.start[axis], box.stop[axis]
        stride = self.field.stride[axis]
        if start == stop:
            return range(0), stride
        first = start - start % stride
        longest = max(stride, self.tile_shape[axis] - self.tile_shape[axis] % stride)
        # As few tiles as possible, all of the same size, which is as small as possible.
        count = ceil_div(stop - first, longest)
        step = round_up(ceil_div(stop - first, count), stride)
        return range(first, stop, step), step

    def _corners(self, box: Box) -> Iterator[Tile]:
        """The first and the last tile."""
        if box.size == 0:
            raise GeometryError(f"{box} has no voxels to tile")
        axes = [self._starts(box, axis) for axis in range(box.ndim)]
        size = self.field.input_shape(tuple(step for _, step in axes))
        for pick in (0, -1):
            origin = tuple(s[pick] - h for (s, _), h in zip(axes, self.field.halo))
            inner = tuple(a + b for a, b in zip(origin, self.field.border))
            scores = _box(inner, self.field.scores_shape(size))
            yield Tile(_box(origin, size), scores, Box(scores.start, scores.start))


def _box(start: Point, shape: Point) -> Box:
    return Box(start, tuple(a + n for a, n in zip(start, shape)))
