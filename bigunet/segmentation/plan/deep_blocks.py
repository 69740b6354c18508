"""Blocks for networks that are swept: as deep as they are wide, because depth costs no memory."""

from __future__ import annotations

import math
from collections.abc import Callable

from bigunet.geometry import Point, ceil_div
from bigunet.io.output.extents import clipped_extent

# As many voxels as in the default block, whose planes are larger, and which is less deep.
_EXTENT, _SMALLEST = 512, 16
# Narrower bars would compute half of their voxels twice, so that depth is halved first.
_NARROWEST = 128


def deep_block_shape(
    shape: Point, *, memory_bytes: Callable[[Point], int], limit_bytes: int, workers: int
) -> Point:
    """Shape of a block of a volume for a swept 3D network.

    Parameters
    ----------
    shape : tuple of int
        Shape of the volume; the network sees the last three axes.
    memory_bytes : callable
        Gives the memory of a block of some shape.
    limit_bytes : int
        The most memory that a block should take.
    workers : int
        Number of workers, each of which gets a block where blocks can be made small enough.

    Examples
    --------
    >>> deep_block_shape((600, 300, 2000), memory_bytes=math.prod, limit_bytes=10**9, workers=1)
    (512, 512, 512)
    >>> deep_block_shape((600, 300, 2000), memory_bytes=math.prod, limit_bytes=10**7, workers=1)
    (512, 128, 128)
    """
    volume = tuple(clipped_extent(_EXTENT, _SMALLEST, extent) for extent in shape[-3:])
    leading = [1] * (len(shape) - 3)
    if leading:
        leading[-1] = clipped_extent(_EXTENT**3 // math.prod(volume), 1, shape[-4])
    block = (*leading, *volume)
    while memory_bytes(block) > limit_bytes or _count(shape, block) < workers:
        smaller = _halved(block)
        if smaller == block:
            break
        block = smaller
    return block


def _halved(block: Point) -> Point:
    """The block with one axis halved: one that the network does not see, else the wider of y, x."""
    first = len(block) - 3
    free = [axis for axis in range(first) if block[axis] > 1]
    wide = [axis for axis in (first + 1, first + 2) if block[axis] > _NARROWEST]
    any_left = [axis for axis in range(first, len(block)) if block[axis] > _SMALLEST]
    for axes in (free, wide, any_left):
        if axes:
            longest = max(axes, key=lambda axis: block[axis])
            return tuple(n // 2 if axis == longest else n for axis, n in enumerate(block))
    return block


def _count(shape: Point, block: Point) -> int:
    return math.prod(ceil_div(n, b) for n, b in zip(shape, block))
