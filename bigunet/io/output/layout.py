"""The shape of a pyramid and who writes which part: owns the arithmetic, touches no storage."""

from __future__ import annotations

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
        Voxels of the level.
    factor : tuple of int
        Downsampling since level 0.
    shard, chunk : tuple of int
        Voxels of one stored file, and of one compressed piece of it.

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

    A task of group 0 segments a block, which is a shard of level 0, and writes its part of every
    level of the group, one shard each. A task of a later group reads the last level of the group
    before, and writes its own levels alike::

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
        """Voxels of level 0."""
        return self.levels[0].shape

    def block_shape(self, group: int) -> Point:
        """Return what one task of this group writes of the group's first level: its shard."""
        return self.levels[self.groups[group][0]].shard

    def grid_shape(self, group: int) -> Point:
        """Return the number of blocks per axis; no level of the group has more."""
        first = self.levels[self.groups[group][0]]
        return tuple(ceil_div(n, b) for n, b in zip(first.shape, first.shard))

    def step(self, level: int) -> Point:
        """Downsampling from the level before to this one (at least level 1), per axis."""
        before, after = self.levels[level - 1], self.levels[level]
        return tuple(b // a for a, b in zip(before.factor, after.factor))

    def coarser(self, box: Box, level: int) -> Box:
        """Return what a box of the level before, at even voxels, covers of ``level``.

        It is empty where the box is but the voxels that a level rounded down leaves out.
        """
        step, limit = self.step(level), self.levels[level].shape
        return Box(
            tuple(a // f for a, f in zip(box.start, step)),
            tuple(min(ceil_div(b, f), n) for b, f, n in zip(box.stop, step, limit)),
        )

    def finer(self, box: Box, level: int) -> Box:
        """Return what a box of ``level`` was downsampled from, in voxels of the level before."""
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
        Voxels of level 0, in canonical volume axes.
    block_shape : tuple of int
        What one task segments: the shard of level 0.
    downsampled : tuple of bool
        The axes that halve from level to level. An axis of extent 1 never does.
    chunk_limit : tuple of int
        The chunk is the largest ``block / 2**j`` not above this; where an odd number forbids
        halving that far, the block itself.
    smallest : int
        Levels end when no downsampled axis is larger.

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
    """Decide shards, chunks and groups of a pyramid whose levels are known.

    Parameters
    ----------
    shapes : sequence of tuple of int
        Voxels of each level. From one to the next every axis stays as it is or halves; an odd
        extent may round up, so that the last voxel covers one less, or down, so that the surplus
        voxel is in no coarser level.
    block_shape, chunk_limit : tuple of int
        As for `plan_pyramid`.

    Raises
    ------
    GeometryError
        If the lengths differ, an extent is below 1, or a level follows by another factor.

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
    """Which axes halve from a level to the next."""
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
    """Whether the next level can be written by the task that wrote this one."""
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
