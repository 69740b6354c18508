"""Seeds spread through the object class, step by step: each voxel goes to the nearest seed.

A voxel that a step reaches from several seeds goes to the lowest id. After ``steps`` steps a voxel
depends on those within ``steps`` voxels along each axis. Spreading goes on from its own result, in
any number of rounds, to the same end.
"""

from __future__ import annotations

import functools

import numpy as np

from bigunet.objects.neighbours import moves


def spread(
    ids: np.ndarray, inside: np.ndarray, steps: int, *, connectivity: int, ndim: int
) -> np.ndarray:
    """Ids after some steps through the object class.

    Parameters
    ----------
    ids : ndarray of uint32 or uint64, (*frames, *space)
        Ids of the block and a halo of ``steps`` voxels; 0 where none is yet.
    inside : ndarray of bool, (*frames, *space)
        Voxels of the object class.
    steps : int
    connectivity, ndim : int
        Which voxels are neighbours: see :class:`bigunet.objects.rule.ObjectRule`.

    Returns
    -------
    ndarray of the type of ``ids``
        Right for the block, without its halo.

    Examples
    --------
    >>> ids = np.array([7, 0, 0, 0, 5, 0, 0], np.uint32)
    >>> spread(ids, np.array([1, 1, 1, 1, 1, 0, 1], bool), 9, connectivity=1, ndim=1)
    array([7, 7, 5, 5, 5, 0, 0], dtype=uint32)
    """
    padded = np.pad(ids, 1)
    flat = padded.reshape(-1)
    strides = [stride // padded.itemsize for stride in padded.strides]
    offsets = [
        sum(step * stride for step, stride in zip(move, strides))
        for move in moves(ids.ndim, ndim, connectivity)
    ]
    places = np.flatnonzero(np.pad(inside & (ids == 0), 1))
    one = ids.dtype.type(1)
    for _ in range(steps):
        # 0 minus 1 is the highest number of the type, so that no id is higher than any id.
        around = (flat[places + offset] - one for offset in offsets)
        lowest = functools.reduce(np.minimum, around) + one
        got = lowest != 0
        if not got.any():
            break
        flat[places[got]] = lowest[got]
        places = places[~got]
    return np.ascontiguousarray(padded[(slice(1, -1),) * ids.ndim])
