"""The classes of a part of an output after holes are filled, as far as this part shows them.

A hole that leaves the part is of unknown size. It may still be known not to be filled: it touches a
side of the output, or it is too large already. The ids say it of others: the voxels of a filled
hole that are not of the border class have an id only because the hole is filled. What is left is
unknown, and is accepted as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bigunet.geometry import Box
from bigunet.objects.holes import filled_block, hole_labels, holes_of_labels
from bigunet.objects.relabelling import box_to_read
from bigunet.objects.rule import ObjectRule

MARGIN = 32
"""Voxels that are read around a part: a hole of at most so many is never unknown."""

Read = Callable[[Box], np.ndarray]
"""Reads a box of the output."""


@dataclass(frozen=True, slots=True, eq=False)
class WindowClasses:
    """Classes of a part of an output, in which filled holes are of the object class.

    Parameters
    ----------
    box : Box
    classes : ndarray of int, (*box)
    is_unknown : ndarray of bool, (*box)
        Voxels of holes that may be filled or not; their classes are those before.
    """

    box: Box
    classes: np.ndarray
    is_unknown: np.ndarray

    def read(self, box: Box) -> np.ndarray:
        """Classes of a box within the part."""
        return np.asarray(self.classes[box.within(self.box)])

    def unknown(self, box: Box) -> np.ndarray:
        """Voxels of a box within the part that may be of a filled hole or not."""
        return np.asarray(self.is_unknown[box.within(self.box)])


def window_classes(
    classes_of: Read, ids_of: Read, *, box: Box, volume: Box, rule: ObjectRule
) -> WindowClasses:
    """Read the classes of a box, and fill its holes.

    Parameters
    ----------
    classes_of, ids_of : callable
        Read classes and ids of a box.
    box : Box
    volume : Box
        The whole output.
    rule : ObjectRule
    """
    if not rule.fill_holes:
        return WindowClasses(box, classes_of(box), np.zeros(box.shape, bool))
    wide = box_to_read(box, volume, min(rule.fill_holes, MARGIN), ndim=rule.ndim)
    classes = classes_of(wide)
    labels = hole_labels(classes, rule)
    holes = holes_of_labels(labels, wide, volume, ndim=rule.ndim)
    sizes = holes.fragments.sizes
    may_be = ~holes.at_side & (sizes <= rule.fill_holes)
    unknown = may_be & leaving(labels, wide, volume, ndim=rule.ndim)
    filled = may_be & ~unknown
    if unknown.any():
        shown_filled, shown_open = _shown(labels, sizes, classes, ids_of(wide), rule)
        filled |= unknown & shown_filled
        unknown &= ~shown_filled & ~shown_open
    flags = np.zeros((2, len(sizes) + 1), bool)
    flags[:, 1:] = filled, unknown
    where = box.within(wide)
    is_filled, is_unknown = flags[:, labels[where]]
    return WindowClasses(box, filled_block(classes[where], is_filled, rule), is_unknown)


def _shown(
    labels: np.ndarray, sizes: np.ndarray, classes: np.ndarray, ids: np.ndarray, rule: ObjectRule
) -> tuple[np.ndarray, np.ndarray]:
    """Which holes the ids show to be filled, and which not: two arrays of bool."""
    has_id = ids > 0
    plain = np.ones(classes.shape, bool) if rule.border is None else classes != rule.border
    is_filled = _any_of(labels, has_id & plain, len(sizes))
    # A hole without ids may also be filled, in an object that is left out because it is small.
    whole_is_large = sizes >= rule.smallest
    if rule.split is not None:
        whole_is_large = np.full(len(sizes), rule.smallest <= 1)
    elif rule.border is not None:
        # All voxels of a filled hole have one id: those of the border have theirs from growth.
        whole_is_large = whole_is_large | _any_of(labels, has_id, len(sizes))
    is_open = _any_of(labels, plain, len(sizes)) & ~is_filled & whole_is_large
    return is_filled, is_open


def _any_of(labels: np.ndarray, mask: np.ndarray, count: int) -> np.ndarray:
    """Whether any voxel of each label is in a mask."""
    has_any = np.zeros(count + 1, bool)
    has_any[labels[mask]] = True
    return has_any[1:]


def leaving(labels: np.ndarray, box: Box, volume: Box, *, ndim: int) -> np.ndarray:
    """Which labels reach a side of a box that is not a side of the volume: bool, one for each.

    Parameters
    ----------
    labels : ndarray of int, (*box)
        From 1, without gaps; 0 is nothing.
    box, volume : Box
    ndim : int
        Axes of space, which are the last.
    """
    leaves = np.zeros(int(labels.max(initial=0)) + 1, bool)
    for axis in range(labels.ndim - ndim, labels.ndim):
        if box.start[axis] > volume.start[axis]:
            leaves[labels.take(0, axis)] = True
        if box.stop[axis] < volume.stop[axis]:
            leaves[labels.take(-1, axis)] = True
    return leaves[1:]
