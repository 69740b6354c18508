"""The holes of objects in one block, and its classes after holes are filled.

A hole is connected voxels that are not of the object class, and that touch no side of the image.
Voxels of the border class and of other classes belong to holes, too. The voxels of a hole are
connected over faces, whatever the connectivity of the objects: so they are in
``scipy.ndimage.binary_fill_holes`` and ``skimage.morphology.remove_small_holes`` unless these are
asked for something else. So a wall that is closed over corners alone has a hole inside.

::

    0 0 0 0 0 0
    0 1 1 1 1 0        - the outer 0 touch the sides of the image: no hole
    0 1 0 0 1 0        - the inner 0 are a hole of three voxels. The wall on its lower right meets
    0 1 0 1 0 0          over a corner only; the hole cannot leave there
    0 1 1 1 0 0
    0 0 0 0 0 0

A fragment of a hole is what of it is in one block. Most fragments are of no hole: they are parts of
the background. Which ones are filled is known when all blocks are: see
:mod:`bigunet.objects.filling`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bigunet.errors import GeometryError
from bigunet.geometry import Box
from bigunet.npz import npz_arrays, npz_bytes, reading_npz
from bigunet.objects.block_fragments import BlockFragments, fragments_of_labels, label_block
from bigunet.objects.rule import ObjectRule

HOLE_CONNECTIVITY = 1
"""Voxels of a hole are connected over faces."""


@dataclass(frozen=True, slots=True, eq=False)
class HoleFragments:
    """What other blocks must know of the fragments of holes in one block.

    Attributes
    ----------
    fragments : BlockFragments
        Their sizes, and their labels on the faces of the block.
    at_side : ndarray of bool, (num_fragments,)
        Whether each touches a side of the image in this block, so that it is of no hole.

    Raises
    ------
    GeometryError
        If there is not one value for each fragment.
    """

    fragments: BlockFragments
    at_side: np.ndarray

    def __post_init__(self) -> None:
        if self.at_side.shape != (self.num_fragments,) or self.at_side.dtype != bool:
            raise GeometryError(
                f"at_side of {self.at_side.dtype} and of shape {self.at_side.shape} for "
                f"{self.num_fragments} fragments; give one bool for each"
            )

    @property
    def num_fragments(self) -> int:
        return self.fragments.num_fragments

    def to_bytes(self) -> bytes:
        """The fragments as a compressed npz file: equal fragments give equal bytes."""
        return npz_bytes(self.fragments.to_arrays() | {"at_side": self.at_side}, compressed=True)

    @classmethod
    def from_bytes(cls, content: bytes) -> HoleFragments:
        """Fragments from the bytes of :meth:`to_bytes`; nothing is unpickled.

        Raises
        ------
        OutputError
            If the bytes are damaged.
        """
        with reading_npz(content, "the holes of a block", "the block is labelled again"):
            arrays = npz_arrays(content)
            at_side = arrays.pop("at_side")
            return cls(BlockFragments.from_arrays(arrays), at_side)


def hole_labels(classes: np.ndarray, rule: ObjectRule) -> np.ndarray:
    """Number the fragments of holes, and of the background, in one block.

    Parameters
    ----------
    classes : ndarray of int or bool, (*frames, *space)
    rule : ObjectRule

    Returns
    -------
    ndarray of uint32, (*frames, *space)
        Fragments from 1 in the order of their first voxel in the block; 0 is the object class.

    Raises
    ------
    LabelsError
        If the classes have fewer axes than the objects.

    Examples
    --------
    >>> hole_labels(np.array([0, 1, 0, 2, 1, 1]), ObjectRule(1, ndim=1))
    array([1, 0, 2, 2, 0, 0], dtype=uint32)
    """
    others = ObjectRule(1, connectivity=HOLE_CONNECTIVITY, ndim=rule.ndim)
    return label_block(classes != rule.object_class, others)


def holes_of_labels(labels: np.ndarray, box: Box, volume: Box, *, ndim: int) -> HoleFragments:
    """Describe the fragments of holes in one block.

    Parameters
    ----------
    labels : ndarray of int, (*frames, *space)
        Those of :func:`hole_labels`.
    box : Box
        The voxels of the block.
    volume : Box
        The whole image. Its sides are those of the last ``ndim`` axes. An axis of one voxel has no
        sides, unless all have one voxel: then nothing surrounds a hole.
    ndim : int
        Axes of space.

    Raises
    ------
    GeometryError
        If the labels do not have the shape of the box, or the volume does not contain the box.

    Examples
    --------
    >>> labels = np.array([1, 0, 2, 0], np.uint32)
    >>> holes_of_labels(labels, Box((0,), (4,)), Box((0,), (9,)), ndim=1).at_side
    array([ True, False])
    """
    fragments = fragments_of_labels(labels, box, volume, ndim=ndim)
    at_side = np.zeros(fragments.num_fragments + 1, bool)
    axes = range(box.ndim - ndim, box.ndim)
    with_sides = [axis for axis in axes if volume.shape[axis] > 1]
    at_side |= not with_sides
    for axis in with_sides:
        if box.start[axis] == volume.start[axis]:
            at_side[labels.take(0, axis)] = True
        if box.stop[axis] == volume.stop[axis]:
            at_side[labels.take(-1, axis)] = True
    return HoleFragments(fragments, at_side[1:])


def filled_block(classes: np.ndarray, is_filled: np.ndarray, rule: ObjectRule) -> np.ndarray:
    """Classes of a box in which the voxels of filled holes are of the object class.

    Everything that makes objects of classes takes these instead: labels, seeds, and the growth into
    the border class.

    Parameters
    ----------
    classes : ndarray of int or bool, (*box)
        They are not changed.
    is_filled : ndarray of bool, (*box)
        Which voxels are of holes that are filled.
    rule : ObjectRule

    Returns
    -------
    ndarray of the type of ``classes``

    Raises
    ------
    GeometryError
        If the arrays are not of one shape.

    Examples
    --------
    >>> filled_block(np.array([1, 0, 1, 0]), np.array([0, 1, 0, 0], bool), ObjectRule(1))
    array([1, 1, 1, 0])
    """
    if classes.shape != is_filled.shape:
        raise GeometryError(f"classes {classes.shape} and filled voxels {is_filled.shape} differ")
    filled = classes.copy()
    if is_filled.any():  # a type that cannot hold the object class has no objects, and no holes
        filled[is_filled] = rule.object_class
    return filled
