"""Seeds of objects in one block: the deep voxels of the object class.

Whether a voxel is a seed depends on the voxels within the halo of the rule (:meth:`SplitRule.halo`)
alone. Depths are the lowest of a fixed set of sums, so that rounding cannot depend on the blocks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bigunet.objects.neighbours import risen
from bigunet.objects.split_rule import SplitRule


def seed_voxels(
    inside: np.ndarray, split: SplitRule, *, connectivity: int, ndim: int
) -> np.ndarray:
    """The voxels of all seeds.

    Parameters
    ----------
    inside : ndarray of bool, (*frames, *space)
        Voxels of the object class, of the block and its halo.
    split : SplitRule
    connectivity, ndim : int
        Which voxels are neighbours: see :class:`bigunet.objects.rule.ObjectRule`.

    Returns
    -------
    ndarray of bool, (*frames, *space)
        Right for voxels that are at least the halo away from the faces of the array that are not
        faces of the image.

    Raises
    ------
    OptionError
        If the spacing of the rule has not ``ndim`` axes.

    Examples
    --------
    >>> line = np.array([0, 1, 1, 1, 1, 1, 0, 1, 0], bool)
    >>> seed_voxels(line, SplitRule(merge=0), connectivity=1, ndim=1).astype(int)
    array([0, 0, 1, 1, 1, 0, 0, 1, 0])
    """
    spacing = split.steps(ndim)
    depth = np.sqrt(squared_depth(inside, split.radius, spacing))
    highest = depth
    for _ in range(split.reach):
        before, highest = highest, risen(highest, inside, connectivity=connectivity, ndim=ndim)
        if np.array_equal(before, highest):
            break
    # Depths of voxels are a voxel uneven: thin objects would fall apart at every bend.
    least = np.minimum(np.float32(split.neck) * highest, highest - np.float32(min(spacing)))
    seeds = inside & (depth >= least)
    for _ in range(split.merge):
        seeds = risen(seeds, inside, connectivity=connectivity, ndim=ndim)
    return np.asarray(seeds)


def squared_depth(inside: np.ndarray, radius: float, spacing: Sequence[float]) -> np.ndarray:
    """Square of the distance to the nearest voxel outside, at most the square of ``radius``.

    What is beyond the array is not outside: an object that the image cuts goes on there.

    Parameters
    ----------
    inside : ndarray of bool, (*frames, *space)
    radius : float
    spacing : sequence of float
        Distance of neighbouring voxels along each of the last axes, which are space.

    Returns
    -------
    ndarray of float32, (*frames, *space)

    Examples
    --------
    >>> squared_depth(np.array([1, 1, 1, 1, 0, 1], bool), 3, (1,))
    array([9., 9., 4., 1., 0., 1.], dtype=float32)
    """
    depth = np.where(inside, np.float32(radius * radius), np.float32(0))
    for axis, step in enumerate(spacing, inside.ndim - len(spacing)):
        # The square of a distance is the sum over the axes: each axis alone takes the lowest sum.
        voxels = np.moveaxis(depth, axis, 0)
        nearest = voxels.copy()
        for apart in range(1, len(voxels)):
            if apart * step >= radius:
                break
            more = np.float32((apart * step) ** 2)
            np.minimum(nearest[:-apart], voxels[apart:] + more, out=nearest[:-apart])
            np.minimum(nearest[apart:], voxels[:-apart] + more, out=nearest[apart:])
        depth = np.moveaxis(nearest, 0, axis)
    return np.ascontiguousarray(depth)
