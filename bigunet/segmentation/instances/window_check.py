"""Checks the ids of a window of an output: whether they can be those of the whole image.

An object may leave the window, so that its size is unknown, and several parts of the window may be
one object. Everything else follows from the classes in the window.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bigunet.geometry import Box
from bigunet.objects.block_fragments import fragments_of_labels, label_block
from bigunet.objects.pieces import pieces_of_block
from bigunet.objects.reaching import nearest_seeds
from bigunet.objects.relabelling import box_to_read, grown_block
from bigunet.objects.rule import ObjectRule
from bigunet.objects.split_blocks import seed_labels

Read = Callable[[Box], np.ndarray]
"""Reads a box of the output."""


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
    classes, ids = classes_of(read), ids_of(read)
    own = np.where(classes == rule.object_class, ids, 0)
    components = _components(classes, classes_of, read, volume, rule)
    wrong = _wrong_components(components, own, read, volume, rule)
    grown = ids[window.within(read)]
    expected = own[window.within(read)]
    if rule.border is not None:
        border = classes == rule.border
        expected = grown_block(
            own, border, read=read, write=window, width=rule.border_width, ndim=rule.ndim
        )
    return wrong + int(np.count_nonzero(grown != expected))


@dataclass(frozen=True, slots=True, eq=False)
class _Components:
    """What must be of one object in a box.

    Parameters
    ----------
    labels : ndarray of uint32, (*box)
        Component of each voxel, from 1; 0 where no object is, and where the object is not known.
    is_cut : ndarray of bool, (components,)
        Whether a part of the component may be among the voxels that are not known.
    """

    labels: np.ndarray
    is_cut: np.ndarray


def _components(
    classes: np.ndarray, classes_of: Read, read: Box, volume: Box, rule: ObjectRule
) -> _Components:
    """Connected voxels in a box; if objects are split, those of them with one nearest seed."""
    if rule.split is None:
        labels = label_block(classes, rule)
        return _Components(labels, np.zeros(int(labels.max(initial=0)), bool))
    wide = box_to_read(read, volume, rule.split.most_steps(rule.ndim), ndim=rule.ndim)

    def inside(box: Box) -> np.ndarray:
        return np.asarray(classes_of(box) == rule.object_class)

    seeds = seed_labels(wide, volume, inside, rule)
    lowest = _nearest(seeds, read, wide, inside, rule)
    # Where seeds are equally near, the one with the lower id wins; ids may differ from these here.
    turned = np.where(seeds > 0, seeds.max(initial=0) + 1 - seeds, 0).astype(np.uint32)
    highest = _nearest(turned, read, wide, inside, rule)
    highest = np.where(highest > 0, seeds.max(initial=0) + 1 - highest, 0)
    unknown = lowest != highest
    labels, pieces = pieces_of_block(np.where(unknown, 0, lowest), read, volume)
    return _Components(
        labels, np.isin(pieces.seeds, [*lowest[unknown].tolist(), *highest[unknown].tolist()])
    )


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
    leaves = _leaving(labels, read, volume, rule)
    is_cut, too_small = leaves | components.is_cut, fragments.sizes < rule.smallest
    wrong = np.where(of_object > 0, ~is_cut & too_small, ~too_small)
    # Two components with one id must meet outside of the window.
    _, inverse, counts = np.unique(of_object, return_inverse=True, return_counts=True)
    wrong |= (of_object > 0) & (counts[inverse] > 1) & ~leaves
    return int(np.count_nonzero(mixed)) + int(fragments.sizes[wrong].sum())


def _leaving(labels: np.ndarray, read: Box, volume: Box, rule: ObjectRule) -> np.ndarray:
    """Which components reach a side of the box that is not a side of the volume."""
    leaves = np.zeros(int(labels.max(initial=0)) + 1, bool)
    for axis in range(labels.ndim - rule.ndim, labels.ndim):
        if read.start[axis] > volume.start[axis]:
            leaves[labels.take(0, axis)] = True
        if read.stop[axis] < volume.stop[axis]:
            leaves[labels.take(-1, axis)] = True
    return leaves[1:]
