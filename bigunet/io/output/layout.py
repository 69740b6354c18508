"""The levels of a pyramid, and the parts of it that each task writes; it opens no store."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bigunet.errors import GeometryError
from bigunet.geometry import Box, Point, ceil_div
from bigunet.io.output.extents import chunk_extent, clipped_extent


@dataclass(frozen=True, slots=True)
class PyramidLevel:
    """One level of an output, in canonical volume axes.

    Parameters
    ----------
    shape : tuple of int
        Shape of the level in voxels.
    factor : tuple of int
        Downsampling from level 0 to this level.
    shard, chunk : tuple of int
        Shapes in voxels: of one stored file, and of one compressed part of it.

    Raises
    ------
    GeometryError
        If the lengths differ, or a shard is not a whole number of chunks.
    """

    shape: Point
    factor: Point
    shard: Point
    chunk: Point

    def __post_init__(self) -> None:
        if not len(self.shape) == len(self.factor) == len(self.shard) == len(self.chunk):
            raise GeometryError(f"{self}: shape, factor, shard and chunk differ in length")
        if any(s < 1 or c < 1 or s % c for s, c in zip(self.shard, self.chunk)):
            raise GeometryError(
                f"shard {self.shard} is not a whole number of chunks {self.chunk}: "
                "give a block shape that is a multiple of the chunk"
            )


@dataclass(frozen=True, slots=True)
class PyramidLayout:
    """All levels, and the groups of levels that one task writes together.

    A task of group 0 segments a block, which is a shard of level 0. It writes its part of each
    level of the group, which is one shard in each level. A task of a later group reads the last
    level of the previous group, and writes its part of each level in the same way::

        group 0   level 0  |       |       |   block = shard of level 0
                  level 1  |   |   |           the shard halves, the grid stays
        group 1   level 2  |       |           a whole block shape again, and fewer of them

    Raises
    ------
    GeometryError
        If the groups do not name every level once and in order.
    """

    levels: tuple[PyramidLevel, ...]
    groups: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        named = [level for group in self.groups for level in group]
        if not all(self.groups) or named != list(range(len(self.levels))) or not named:
            raise GeometryError(
                f"groups {self.groups} do not name {len(self.levels)} levels once, in order"
            )

    @property
    def shape(self) -> Point:
        """Shape of level 0, in voxels."""
        return self.levels[0].shape

    def block_shape(self, group: int) -> Point:
        """Return the part of the first level of a group that one task writes, which is a shard."""
        return self.levels[self.groups[group][0]].shard

    def grid_shape(self, group: int) -> Point:
        """Return the number of blocks along each axis; no level of the group has more shards."""
        first = self.levels[self.groups[group][0]]
        return tuple(ceil_div(n, b) for n, b in zip(first.shape, first.shard))

    def num_blocks(self, group: int) -> int:
        """Return the number of blocks of a group."""
        return math.prod(self.grid_shape(group))

    def step(self, level: int) -> Point:
        """Downsampling from the previous level to this one (at least 1), along each axis."""
        before, after = self.levels[level - 1], self.levels[level]
        return tuple(b // a for a, b in zip(before.factor, after.factor))

    def coarser(self, box: Box, level: int) -> Box:
        """Return the part of ``level`` that a box of the previous level covers.

        The box must begin at even voxels. The result is empty if the box holds only voxels that
        ``level`` leaves out because its shape was rounded down.
        """
        step, limit = self.step(level), self.levels[level].shape
        return Box(
            tuple(a // f for a, f in zip(box.start, step)),
            tuple(min(ceil_div(b, f), n) for b, f, n in zip(box.stop, step, limit)),
        )

    def finer(self, box: Box, level: int) -> Box:
        """Return the box of the previous level from which a box of ``level`` is downsampled."""
        step, limit = self.step(level), self.levels[level - 1].shape
        return Box(
            tuple(a * f for a, f in zip(box.start, step)),
            tuple(min(b * f, n) for b, f, n in zip(box.stop, step, limit)),
        )


def plan_pyramid(
    shape: Point,
    block_shape: Point,
    *,
    downsampled: tuple[bool, ...],
    chunk_limit: Point,
    smallest: int = 512,
) -> PyramidLayout:
    """Decide the levels, shards, chunks and groups of an output.

    Parameters
    ----------
    shape : tuple of int
        Shape of level 0, in canonical volume axes.
    block_shape : tuple of int
        The block that one task segments, which is the shard of level 0.
    downsampled : tuple of bool
        Whether each axis halves from level to level. An axis of extent 1 never halves.
    chunk_limit : tuple of int
        The chunk is the largest ``block / 2**j`` that is not above this limit. If an odd number
        prevents that, the chunk is the whole block.
    smallest : int
        The last level is the first one in which no downsampled axis is longer than this.

    Raises
    ------
    GeometryError
        If the lengths differ, or an extent is below 1.

    Examples
    --------
    >>> layout = plan_pyramid(
    ...     (9000, 5000), (4096, 4096), downsampled=(True, True), chunk_limit=(512, 512)
    ... )
    >>> layout.groups, layout.grid_shape(0), layout.grid_shape(1)
    (((0, 1, 2, 3), (4, 5)), (3, 2), (1, 1))
    """
    _check_plan(shape, block_shape, downsampled, chunk_limit)
    shapes = [shape]
    while True:
        halved = tuple(d and n > 1 for d, n in zip(downsampled, shapes[-1]))
        if not any(h and n > smallest for h, n in zip(halved, shapes[-1])):
            return lay_out(shapes, block_shape, chunk_limit=chunk_limit)
        shapes.append(tuple(ceil_div(n, 2) if h else n for n, h in zip(shapes[-1], halved)))


def lay_out(shapes: Sequence[Point], block_shape: Point, *, chunk_limit: Point) -> PyramidLayout:
    """Decide the shards, chunks and groups of a pyramid from the shapes of its levels.

    Parameters
    ----------
    shapes : sequence of tuple of int
        Shape of each level in voxels. From one level to the next, each axis keeps its extent or
        halves it. Half of an odd extent is rounded up, so that the last voxel covers one voxel
        only, or down, so that the last voxel is in no coarser level.
    block_shape, chunk_limit : tuple of int
        As for `plan_pyramid`.

    Raises
    ------
    GeometryError
        If the lengths differ, an extent is below 1, or a level has another factor.

    Examples
    --------
    >>> lay_out([(9, 1001), (9, 500)], (8, 512), chunk_limit=(8, 512)).levels[1].factor
    (1, 2)
    """
    _check_plan(shapes[0], block_shape, (True,) * len(shapes[0]), chunk_limit)
    chunk = tuple(chunk_extent(b, limit) for b, limit in zip(block_shape, chunk_limit))
    level = PyramidLevel(shapes[0], (1,) * len(shapes[0]), block_shape, chunk)
    levels = [level]
    groups = [[0]]
    for shape in shapes[1:]:
        halved = _halved_axes(level.shape, shape)
        factor = tuple(f * 2 if h else f for f, h in zip(level.factor, halved))
        if _is_fusible(level.shard, halved, chunk):
            groups[-1].append(len(levels))
            shard = tuple(s // 2 if h else s for s, h in zip(level.shard, halved))
        else:
            groups.append([len(levels)])
            shard = tuple(map(clipped_extent, block_shape, chunk, shape))
        level = PyramidLevel(shape, factor, shard, tuple(map(min, chunk, shard)))
        levels.append(level)
    return PyramidLayout(tuple(levels), tuple(map(tuple, groups)))


def _halved_axes(before: Point, after: Point) -> tuple[bool, ...]:
    """Whether each axis halves from one level to the next."""
    fits = len(before) == len(after) and all(
        a in (b, b // 2, ceil_div(b, 2)) and a > 0 for b, a in zip(before, after)
    )
    if not fits:
        raise GeometryError(
            f"a level of shape {after} follows one of {before}: only factors of 1 and 2 per axis "
            "are supported"
        )
    return tuple(a != b for b, a in zip(before, after))


def _is_fusible(shard: Point, halved: tuple[bool, ...], chunk: Point) -> bool:
    """Whether the task that writes a shard of this level can write the next level, too."""
    axes = [(s, c) for s, c, h in zip(shard, chunk, halved) if h]
    return all(s % 2 == 0 for s, _ in axes) and any(s // 2 >= c for s, c in axes)


def _check_plan(
    shape: Point, block_shape: Point, downsampled: tuple[bool, ...], limit: Point
) -> None:
    if not len(shape) == len(block_shape) == len(downsampled) == len(limit):
        raise GeometryError(
            f"shape {shape}, block shape {block_shape}, downsampled {downsampled} and "
            f"chunk limit {limit} differ in length: give one value per axis"
        )
    if min((*shape, *block_shape, *limit), default=1) < 1:
        raise GeometryError(
            f"shape {shape}, block shape {block_shape} and chunk limit {limit} must be at least 1"
        )
