"""Default sizes of blocks and chunks; it knows no levels and no storage."""

from __future__ import annotations

import math

from bigunet.errors import GeometryError
from bigunet.geometry import Point

_BLOCK_EXTENTS: dict[int, Point] = {2: (4096, 4096), 3: (128, 1024, 1024)}
_SMALLEST_BLOCK_EXTENT: dict[int, int] = {2: 64, 3: 16}
_CHUNK_EXTENT_LIMIT: dict[int, int] = {2: 512, 3: 64}


def default_block_shape(shape: Point, *, network_ndim: int) -> Point:
    """Choose the block shape for an image of this shape (canonical volume axes).

    The network sees the last ``network_ndim`` axes. A block has (4096, 4096) voxels along them in
    2D and (128, 1024, 1024) in 3D, or fewer if a smaller power of two covers the image. Along the
    axis before them, a block has as many planes as give it the full number of voxels, so that
    small planes do not become one file each. Along all other axes, a block has 1 voxel.

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
    block = tuple(clipped_extent(largest, smallest, extent) for largest, extent in extents)
    leading = [1] * (len(shape) - network_ndim)
    if leading:
        planes = math.prod(_BLOCK_EXTENTS[network_ndim]) // math.prod(block)
        leading[-1] = clipped_extent(planes, 1, shape[-network_ndim - 1])
    return (*leading, *block)


def halved_block_shape(block: Point, *, network_ndim: int) -> Point:
    """Halve one axis of a block: an axis before those of the network if possible, else the longest.

    If no axis can be halved without going below the smallest default block, the block is returned
    unchanged.

    Examples
    --------
    >>> halved_block_shape((8, 512, 4096), network_ndim=2)
    (4, 512, 4096)
    >>> halved_block_shape((1, 512, 4096), network_ndim=2)
    (1, 512, 2048)
    """
    leading = len(block) - network_ndim
    least = (1,) * leading + (_SMALLEST_BLOCK_EXTENT[network_ndim],) * network_ndim
    free = [axis for axis, (n, m) in enumerate(zip(block, least)) if n // 2 >= m]
    if not free:
        return block
    halved = min(free, key=lambda axis: (axis >= leading, -block[axis]))
    return tuple(n // 2 if axis == halved else n for axis, n in enumerate(block))


def chunk_limit(network_ndim: int, ndim: int) -> Point:
    """Return the largest chunk for an image of ``ndim`` volume axes, for `plan_pyramid`.

    Raises
    ------
    GeometryError
        If the network is neither 2D nor 3D, or the image has fewer axes than the network.
    """
    _check_network(network_ndim, ndim)
    return (1,) * (ndim - network_ndim) + (_CHUNK_EXTENT_LIMIT[network_ndim],) * network_ndim


def chunk_extent(block: int, limit: int) -> int:
    """The largest ``block / 2**j`` that is not above ``limit``; ``block`` if there is none."""
    extent = block
    while extent > limit:
        if extent % 2:
            return block
        extent //= 2
    return extent


def clipped_extent(largest: int, smallest: int, extent: int) -> int:
    """Double ``smallest`` until it covers ``extent`` or reaches ``largest``."""
    doubled = smallest
    while doubled < min(extent, largest):
        doubled *= 2
    return doubled


def _check_network(network_ndim: int, ndim: int) -> None:
    if network_ndim not in _BLOCK_EXTENTS:
        raise GeometryError(f"a network of {network_ndim} axes: only 2 and 3 are supported")
    if ndim < network_ndim:
        raise GeometryError(f"an image of {ndim} axes does not fit a network of {network_ndim}")
