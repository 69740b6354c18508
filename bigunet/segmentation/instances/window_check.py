"""Checks the ids of a window of an output: whether they can be those of the whole image.

An object may leave the window, so that its size is unknown, and several parts of the window may be
one object. So may a hole: see :mod:`bigunet.segmentation.instances.window_classes`. Everything else
follows from the classes in the window.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bigunet.geometry import Box
from bigunet.labels import grow
from bigunet.objects.block_fragments import fragments_of_labels, label_block
from bigunet.objects.neighbours import risen
from bigunet.objects.pieces import pieces_of_block
from bigunet.objects.reaching import nearest_seeds
from bigunet.objects.relabelling import box_to_read
from bigunet.objects.rule import ObjectRule
from bigunet.objects.split_blocks import seed_labels
from bigunet.segmentation.instances.window_classes import (
    Read,
    WindowClasses,
    leaving,
    window_classes,
)


def wrong_ids(classes_of: Read, ids_of: Read, *, window: Box, volume: Box, rule: ObjectRule) -> int:
    """Number of voxels with an id that no labelling of the whole image can give.

    Parameters
    ----------
    classes_of, ids_of : callable
        Read classes and ids of a box.
    window : Box
        Voxels to check in full. Those around it that growth reads are checked as far as possible.
    volume : Box
        The whole output.
    rule : ObjectRule

    Returns
    -------
    int
    """
    read = box_to_read(window, volume, rule.border_width, ndim=rule.ndim)
    needed = box_to_read(read, volume, _reach_of_seeds(rule), ndim=rule.ndim)
    known = window_classes(classes_of, ids_of, box=needed, volume=volume, rule=rule)
    classes, ids, unknown = known.read(read), ids_of(read), known.unknown(read)
    own = np.where(classes == rule.object_class, ids, 0)
    components = _components(known, read, volume, rule)
    wrong = _wrong_components(components, own, read, volume, rule)
    expected = own
    if rule.border is not None:
        expected = grow(own, classes == rule.border, rule.border_width, ndim=rule.ndim)
    # Growth from an unknown hole changes nothing: the object around it is nearer to all else.
    differs = (ids != expected) & ~unknown
    return wrong + int(np.count_nonzero(differs[window.within(read)]))


def _reach_of_seeds(rule: ObjectRule) -> int:
    """How far away voxels decide to which seed a voxel belongs, at most."""
    if rule.split is None:
        return 0
    return rule.split.most_steps(rule.ndim) + max(rule.split.halo(rule.ndim))


@dataclass(frozen=True, slots=True, eq=False)
class _Components:
    """What must be of one object in a box.

    Parameters
    ----------
    labels : ndarray of uint32, (*box)
        Component of each voxel, from 1; 0 where no object is, and where the object is not known.
    is_cut : ndarray of bool, (components,)
        Whether a part of the component may be among the voxels that are not known.
    leaves : ndarray of bool, (components,)
        Whether the component may go on outside of the box.
    """

    labels: np.ndarray
    is_cut: np.ndarray
    leaves: np.ndarray


def _components(known: WindowClasses, read: Box, volume: Box, rule: ObjectRule) -> _Components:
    """Connected voxels in a box; if objects are split, those of them with one nearest seed."""
    if rule.split is not None:
        return _split_components(known, read, volume, rule)
    labels = label_block(known.read(read), rule)
    leaves = np.zeros(int(labels.max(initial=0)) + 1, bool)
    leaves[1:] = leaving(labels, read, volume, ndim=rule.ndim)
    if (unknown := known.unknown(read)).any():
        # If the hole is filled, what touches it goes on in it, and perhaps beyond it.
        everywhere = np.ones(read.shape, bool)
        near = risen(unknown, everywhere, connectivity=rule.connectivity, ndim=rule.ndim)
        leaves[labels[near]] = True
    return _Components(labels, np.zeros(len(leaves) - 1, bool), leaves[1:])


def _split_components(
    known: WindowClasses, read: Box, volume: Box, rule: ObjectRule
) -> _Components:
    """The pieces of split objects in a box."""
    assert rule.split is not None
    if known.is_unknown.any():
        # Any seed may be another one.
        nothing = np.zeros(0, bool)
        return _Components(np.zeros(read.shape, np.uint32), nothing, nothing)
    wide = box_to_read(read, volume, rule.split.most_steps(rule.ndim), ndim=rule.ndim)

    def inside(box: Box) -> np.ndarray:
        return np.asarray(known.read(box) == rule.object_class)

    seeds = seed_labels(wide, volume, inside, rule)
    lowest = _nearest(seeds, read, wide, inside, rule)
    # Where seeds are equally near, the one with the lower id wins; ids may differ from these here.
    turned = np.where(seeds > 0, seeds.max(initial=0) + 1 - seeds, 0).astype(np.uint32)
    highest = _nearest(turned, read, wide, inside, rule)
    highest = np.where(highest > 0, seeds.max(initial=0) + 1 - highest, 0)
    unclear = lowest != highest
    labels, pieces = pieces_of_block(np.where(unclear, 0, lowest), read, volume)
    is_cut = np.isin(pieces.seeds, [*lowest[unclear].tolist(), *highest[unclear].tolist()])
    return _Components(labels, is_cut, leaving(labels, read, volume, ndim=rule.ndim))


def _nearest(seeds: np.ndarray, read: Box, wide: Box, inside: Read, rule: ObjectRule) -> np.ndarray:
    return nearest_seeds(read, wide, lambda box: (seeds[box.within(wide)], inside(box)), rule)


def _wrong_components(
    components: _Components, own: np.ndarray, read: Box, volume: Box, rule: ObjectRule
) -> int:
    """Voxels of components with ids that contradict the classes."""
    labels = components.labels
    fragments = fragments_of_labels(labels, read, volume, ndim=rule.ndim)
    if not fragments.num_fragments:
        return 0
    flat_labels, flat_ids = labels.ravel(), own.ravel()
    inside = np.flatnonzero(flat_labels)
    first = np.zeros(fragments.num_fragments + 1, flat_ids.dtype)
    # Of several values for one index the last one stays; which voxel it is does not matter.
    first[flat_labels[inside]] = flat_ids[inside]
    mixed = flat_ids[inside] != first[flat_labels[inside]]
    of_object = first[1:]
    leaves = components.leaves
    # Of linked objects, other frames may hold the larger part.
    is_cut = leaves | components.is_cut | bool(rule.links)
    too_small = fragments.sizes < rule.smallest
    wrong = np.where(of_object > 0, ~is_cut & too_small, ~too_small)
    # Two components of one frame with one id must meet outside of the window.
    frames = fragments.first_voxels // math.prod(volume.shape[-rule.ndim :])
    in_frames = np.stack([frames, of_object.astype(np.int64)])
    _, inverse, counts = np.unique(in_frames, axis=1, return_inverse=True, return_counts=True)
    inverse = inverse.ravel()
    wrong |= (of_object > 0) & (counts[inverse] > 1) & ~leaves
    return int(np.count_nonzero(mixed)) + int(fragments.sizes[wrong].sum())
