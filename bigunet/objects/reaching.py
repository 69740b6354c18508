"""Each voxel of split objects in one block goes to the nearest seed, however far that is.

A block reads a halo of :data:`STEPS` voxels. Where a voxel has no seed within so many steps, the
box around such voxels is done again with twice the halo. There is an end: a voxel that is no seed
has a deeper one within the reach of the rule, so that a seed is near
(:meth:`SplitRule.most_steps`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bigunet.errors import LabelsError
from bigunet.geometry import Box
from bigunet.objects.relabelling import box_to_read
from bigunet.objects.rule import ObjectRule
from bigunet.objects.spreading import spread

STEPS = 32
"""Steps of the first attempt, and so its halo. Seeds of nuclei were up to 40 steps away."""

Read = Callable[[Box], tuple[np.ndarray, np.ndarray]]


def nearest_seeds(box: Box, volume: Box, read: Read, rule: ObjectRule) -> np.ndarray:
    """The id of the nearest seed for each voxel of the object class in a block.

    Parameters
    ----------
    box : Box
        The block.
    volume : Box
        The whole volume.
    read : callable
        Gives two arrays of a box: the ids of seeds (uint32 or uint64; 0 where no seed is), and
        which voxels are of the object class (bool).
    rule : ObjectRule
        With a rule for splitting.

    Returns
    -------
    ndarray of the type of the ids, (*box)
        0 where no object is.

    Raises
    ------
    LabelsError
        If a voxel of the object class has no seed: then the classes have changed.
    """
    assert rule.split is not None
    steps, most = STEPS, rule.split.most_steps(rule.ndim)
    ids, inside = _spread(box, volume, read, rule, steps)
    while (left := inside & (ids == 0)).any():
        if steps >= most:
            raise LabelsError(
                "classes have changed while they were read: run with --resume, or give those of "
                "one time"
            )
        steps = min(2 * steps, most)
        part = _box_of(left, box)
        ids[part.within(box)], _ = _spread(part, volume, read, rule, steps)
    return ids


def _spread(
    box: Box, volume: Box, read: Read, rule: ObjectRule, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Ids of a box after some steps, and which of its voxels are of the object class."""
    wide = box_to_read(box, volume, steps, ndim=rule.ndim)
    seeds, inside = read(wide)
    ids = spread(seeds, inside, steps, connectivity=rule.connectivity, ndim=rule.ndim)
    where = box.within(wide)
    return ids[where], inside[where]


def _box_of(mask: np.ndarray, box: Box) -> Box:
    """The smallest box around the voxels of a mask of ``box``."""
    places = [np.flatnonzero(mask.any(axis=_others(mask.ndim, axis))) for axis in range(mask.ndim)]
    start = tuple(int(one[0]) + begin for one, begin in zip(places, box.start))
    stop = tuple(int(one[-1]) + 1 + begin for one, begin in zip(places, box.start))
    return Box(start, stop)


def _others(ndim: int, axis: int) -> tuple[int, ...]:
    return tuple(other for other in range(ndim) if other != axis)
