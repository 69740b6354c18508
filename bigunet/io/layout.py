"""The shape of a pyramid and who writes which part: owns the arithmetic, touches no storage."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bigunet.errors import GeometryError
from bigunet.geometry import Box, Point, ceil_div

_BLOCK_EXTENTS: dict[int, Point] = {2: (4096, 4096), 3: (128, 1024, 1024)}
_SMALLEST_BLOCK_EXTENT: dict[int, int] = {2: 64, 3: 16}
_CHUNK_EXTENT_LIMIT: dict[int, int] = {2: 512, 3: 64}


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
        """Return the number of blocks per axis; the same for every level of the group."""
        first = self.levels[self.groups[group][0]]
        return tuple(ceil_div(n, b) for n, b in zip(first.shape, first.shard))

    def step(self, level: int) -> Point:
        """Downsampling from the level before to this one (at least level 1), per axis."""
        before, after = self.levels[level - 1], self.levels[level]
        return tuple(b // a for a, b in zip(before.factor, after.factor))

    def coarser(self, box: Box, level: int) -> Box:
        """Return what a box of the level before, at even voxels, covers of ``level``."""
        step = self.step(level)
        return Box(
            tuple(a // f for a, f in zip(box.start, step)),
            tuple(ceil_div(b, f) for b, f in zip(box.stop, step)),
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
    chunk = tuple(_chunk_extent(b, limit) for b, limit in zip(block_shape, chunk_limit))
    level = PyramidLevel(shape, (1,) * len(shape), block_shape, chunk)
    levels = [level]
    groups = [[0]]
    while True:
        halved = tuple(d and n > 1 for d, n in zip(downsampled, level.shape))
        if not any(h and n > smallest for h, n in zip(halved, level.shape)):
            return PyramidLayout(tuple(levels), tuple(map(tuple, groups)))
        next_shape = tuple(ceil_div(n, 2) if h else n for n, h in zip(level.shape, halved))
        factor = tuple(f * 2 if h else f for f, h in zip(level.factor, halved))
        if _is_fusible(level.shard, halved, chunk):
            groups[-1].append(len(levels))
            shard = tuple(s // 2 if h else s for s, h in zip(level.shard, halved))
        else:
            groups.append([len(levels)])
            shard = tuple(map(_clipped_extent, block_shape, chunk, next_shape))
        level = PyramidLevel(next_shape, factor, shard, tuple(map(min, chunk, shard)))
        levels.append(level)


def default_block_shape(shape: Point, *, network_ndim: int) -> Point:
    """Choose the block for an image of this shape (canonical volume axes).

    The last ``network_ndim`` axes are the network's: 4096 voxels each in 2D, (128, 1024, 1024)
    in 3D, or less where a smaller power of two covers the image. The axis before them gets as many
    planes as make up a full block, so that a stack of small planes is not one file each; others 1.

    Raises
    ------
    GeometryError
        If the network is neither 2D nor 3D, or the image has fewer axes than the network.

    Examples
    --------
    >>> default_block_shape((40, 300, 20_000), network_ndim=2)
    (8, 512, 4096)
    """
    _check_network(network_ndim, len(shape))
    smallest = _SMALLEST_BLOCK_EXTENT[network_ndim]
    extents = zip(_BLOCK_EXTENTS[network_ndim], shape[-network_ndim:])
    block = tuple(_clipped_extent(largest, smallest, extent) for largest, extent in extents)
    leading = [1] * (len(shape) - network_ndim)
    if leading:
        planes = math.prod(_BLOCK_EXTENTS[network_ndim]) // math.prod(block)
        leading[-1] = _clipped_extent(planes, 1, shape[-network_ndim - 1])
    return (*leading, *block)


def chunk_limit(network_ndim: int, ndim: int) -> Point:
    """Return the largest chunk for an image of ``ndim`` volume axes, as `plan_pyramid` takes it.

    Raises
    ------
    GeometryError
        If the network is neither 2D nor 3D, or the image has fewer axes than the network.
    """
    _check_network(network_ndim, ndim)
    return (1,) * (ndim - network_ndim) + (_CHUNK_EXTENT_LIMIT[network_ndim],) * network_ndim


def _is_fusible(shard: Point, halved: tuple[bool, ...], chunk: Point) -> bool:
    """Whether the next level can be written by the task that wrote this one."""
    axes = [(s, c) for s, c, h in zip(shard, chunk, halved) if h]
    return all(s % 2 == 0 for s, _ in axes) and any(s // 2 >= c for s, c in axes)


def _chunk_extent(block: int, limit: int) -> int:
    extent = block
    while extent > limit:
        if extent % 2:
            return block
        extent //= 2
    return extent


def _clipped_extent(largest: int, smallest: int, extent: int) -> int:
    """``smallest`` doubled until it covers ``extent`` or reaches ``largest``."""
    doubled = smallest
    while doubled < min(extent, largest):
        doubled *= 2
    return doubled


def _check_network(network_ndim: int, ndim: int) -> None:
    if network_ndim not in _BLOCK_EXTENTS:
        raise GeometryError(f"a network of {network_ndim} axes: only 2 and 3 are supported")
    if ndim < network_ndim:
        raise GeometryError(f"an image of {ndim} axes does not fit a network of {network_ndim}")


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
