"""Checks the ids of a window of an output: whether they can be those of the whole image.

An object may leave the window, so that its size is unknown, and several parts of the window may be
one object. Everything else follows from the classes in the window.
"""

from __future__ import annotations

import numpy as np

from bigunet.geometry import Box
from bigunet.objects.block_fragments import fragments_of_labels, label_block
from bigunet.objects.relabelling import grown_block
from bigunet.objects.rule import ObjectRule


def wrong_ids(
    classes: np.ndarray, ids: np.ndarray, *, read: Box, window: Box, volume: Box, rule: ObjectRule
) -> int:
    """Number of voxels with an id that no labelling of the whole image can give.

    Parameters
    ----------
    classes, ids : ndarray of int, (*space)
        Of the box ``read``.
    read : Box
        What :func:`bigunet.objects.relabelling.box_to_read` gives for the window.
    window : Box
        Voxels to check in full. Those of ``read`` around it are checked as far as possible.
    volume : Box
        The whole output.
    rule : ObjectRule

    Returns
    -------
    int
    """
    labels = label_block(classes, rule)
    own = np.where(labels > 0, ids, 0)
    wrong = _wrong_components(labels, own, read, volume, rule)
    grown = ids[window.within(read)]
    expected = own[window.within(read)]
    if rule.border is not None:
        border = classes == rule.border
        expected = grown_block(
            own, border, read=read, write=window, width=rule.border_width, ndim=rule.ndim
        )
    return wrong + int(np.count_nonzero(grown != expected))


def _wrong_components(
    labels: np.ndarray, own: np.ndarray, read: Box, volume: Box, rule: ObjectRule
) -> int:
    """Voxels of connected components with ids that contradict the classes."""
    fragments = fragments_of_labels(labels, read, volume, ndim=rule.ndim)
    if not fragments.num_fragments:
        return 0
    flat_labels, flat_ids = labels.ravel(), own.ravel()
    inside = np.flatnonzero(flat_labels)
    first = np.zeros(fragments.num_fragments + 1, flat_ids.dtype)
    # Of several values for one index the last one stays; which voxel it is does not matter.
    first[flat_labels[inside]] = flat_ids[inside]
    mixed = flat_ids[inside] != first[flat_labels[inside]]
    of_object, leaves = first[1:], _leaving(labels, read, volume, rule)
    too_small = fragments.sizes < rule.smallest
    wrong = np.where(of_object > 0, ~leaves & too_small, ~too_small)
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
