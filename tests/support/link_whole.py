"""Linked objects of a whole array in plain Python: sets of voxels, and ratios as fractions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from fractions import Fraction

import numpy as np

Voxel = tuple[int, ...]
Object = frozenset[Voxel]


def link_whole(
    components: np.ndarray, axes_and_thresholds: Iterable[tuple[int, Fraction]], smallest: int
) -> np.ndarray:
    """Ids of objects that are linked along one axis after the other.

    Parameters
    ----------
    components : ndarray of int
        A number for each object of a frame; no object is in two frames.
    axes_and_thresholds : iterable of tuple
        An axis from 0 on, and the least IoU.
    smallest : int
        In voxels of linked objects.
    """
    voxels: dict[int, set[Voxel]] = defaultdict(set)
    for place in np.argwhere(components):
        voxel = tuple(map(int, place))
        voxels[int(components[voxel])].add(voxel)
    objects = sorted((frozenset(one) for one in voxels.values()), key=min)
    for axis, least in axes_and_thresholds:
        objects = _linked(objects, axis, least)
    ids = np.zeros(components.shape, np.uint32)
    for number, one in enumerate((one for one in objects if len(one) >= smallest), start=1):
        ids[tuple(np.transpose(list(one)))] = number
    return ids


def _linked(objects: list[Object], axis: int, least: Fraction) -> list[Object]:
    """Chains of objects, in the order of their first voxel."""
    frame = [next(iter(one))[axis] for one in objects]
    later = [_best(k, objects, frame, axis, 1) for k in range(len(objects))]
    earlier = [_best(k, objects, frame, axis, -1) for k in range(len(objects))]
    chains: list[set[Voxel]] = []
    chain_of: dict[int, set[Voxel]] = {}
    for k in sorted(range(len(objects)), key=lambda k: frame[k]):
        before = earlier[k]
        linked = before is not None and later[before] == k
        if linked and _iou(objects[before], objects[k], axis, 1) >= least:
            chain_of[k] = chain_of[before]
        else:
            chain_of[k] = set()
            chains.append(chain_of[k])
        chain_of[k] |= objects[k]
    return sorted(map(frozenset, chains), key=min)


def _best(k: int, objects: list[Object], frame: list[int], axis: int, step: int) -> int | None:
    """The object with the highest IoU in the next frame; the first of equal ones."""
    best, highest = None, Fraction(0)
    for other, one in enumerate(objects):
        if frame[other] == frame[k] + step:
            iou = _iou(objects[k], one, axis, step)
            if iou > highest:
                best, highest = other, iou
    return best


def _iou(ours: Object, theirs: Object, axis: int, step: int) -> Fraction:
    moved = {(*voxel[:axis], voxel[axis] + step, *voxel[axis + 1 :]) for voxel in ours}
    return Fraction(len(moved & theirs), len(moved | theirs))
