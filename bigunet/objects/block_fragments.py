"""The fragments of the objects in one block, and what other blocks must know of them.

A fragment is the connected voxels of one object in one block. The fragments of a block are numbered
from 1 in the order of their first voxel in the block; 0 is no object. Nothing here knows a second
block.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bigunet.errors import GeometryError, LabelsError
from bigunet.geometry import Box
from bigunet.labels import connected
from bigunet.npz import npz_arrays, npz_bytes, reading_npz
from bigunet.objects.rule import ObjectRule

_VOXELS_AT_ONCE = 2**22
"""Voxels that are counted at once: numpy counts in int64, so 32 MiB for each array."""


@dataclass(frozen=True, slots=True, eq=False)
class BlockFragments:
    """The fragments of one block: a few numbers for each, and the labels on the faces of the block.

    ::

                     high face of axis 0 of the block above
                     0 0 1 1 0 2
        low faces    -----------
                     0 3 3 0 0 4     low face of axis 0 of this block: 1 and 3 touch, 2 and 4 touch

    Attributes
    ----------
    sizes : ndarray of int64, (num_fragments,)
        Voxels of each fragment.
    first_voxels : ndarray of int64, (num_fragments,)
        First voxel of each fragment: its index in C order of the whole volume.
    low_faces, high_faces : tuple of ndarray, one for each axis over which objects are connected
        Labels of the first and of the last voxels along the axis: an array without this axis,
        of the least unsigned type that holds ``num_fragments``. The axes are the last of the
        block; those before are frames.

    Raises
    ------
    GeometryError
        If the arrays do not fit together.
    """

    sizes: np.ndarray
    first_voxels: np.ndarray
    low_faces: tuple[np.ndarray, ...]
    high_faces: tuple[np.ndarray, ...]

    def __post_init__(self) -> None:
        if self.sizes.shape != (self.num_fragments,) or self.first_voxels.shape != self.sizes.shape:
            raise GeometryError(
                f"sizes of shape {self.sizes.shape} do not fit first voxels of shape "
                f"{self.first_voxels.shape}; give one of each for a fragment"
            )
        lows, highs = [
            [face.shape for face in faces] for faces in (self.low_faces, self.high_faces)
        ]
        num_axes = {len(shape) + 1 for shape in lows}
        if lows != highs or len(num_axes) != 1 or max(num_axes) < len(lows):
            raise GeometryError(f"low faces {lows} and high faces {highs} are not of one block")

    @property
    def num_fragments(self) -> int:
        return self.sizes.size

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The arrays of the file of the fragments, by their names in it."""
        faces = {
            f"{side}_{axis}": face
            for side, of_axes in (("low", self.low_faces), ("high", self.high_faces))
            for axis, face in enumerate(of_axes)
        }
        return {"sizes": self.sizes, "first_voxels": self.first_voxels} | faces

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> BlockFragments:
        """Fragments from the arrays of :meth:`to_arrays`, and no others."""
        num_axes, odd = divmod(len(arrays) - 2, 2)
        if odd:  # a damaged length in the list of members hides the one after it
            raise ValueError("a face is missing")
        lows, highs = [
            tuple(arrays[f"{side}_{axis}"] for axis in range(num_axes)) for side in ("low", "high")
        ]
        return cls(arrays["sizes"], arrays["first_voxels"], lows, highs)

    def to_bytes(self) -> bytes:
        """The fragments as a compressed npz file: equal fragments give equal bytes."""
        return npz_bytes(self.to_arrays(), compressed=True)

    @classmethod
    def from_bytes(cls, content: bytes) -> BlockFragments:
        """Fragments from the bytes of :meth:`to_bytes`; nothing is unpickled.

        Raises
        ------
        OutputError
            If the bytes are damaged.
        """
        with reading_npz(content, "the fragments of a block", "the block is labelled again"):
            return cls.from_arrays(npz_arrays(content))


def label_block(classes: np.ndarray, rule: ObjectRule) -> np.ndarray:
    """Number the fragments of objects in one block.

    Parameters
    ----------
    classes : ndarray of int or bool, (*frames, *space)
        The last ``rule.ndim`` axes are space. Nothing joins across the axes before.
    rule : ObjectRule

    Returns
    -------
    ndarray of uint32, (*frames, *space)
        Fragments from 1 in the order of their first voxel in the block, so frame by frame; 0 is no
        object.

    Raises
    ------
    LabelsError
        If the classes have fewer axes than the objects.

    Examples
    --------
    >>> label_block(np.array([[0, 1, 1], [1, 1, 0]]), ObjectRule(1, ndim=1))
    array([[0, 1, 1],
           [2, 2, 0]], dtype=uint32)
    """
    num_frame_axes = classes.ndim - rule.ndim
    if num_frame_axes < 0:
        raise LabelsError(f"classes have {classes.ndim} axes; give {rule.ndim} or more")
    if num_frame_axes == 0:
        whole = connected(classes == rule.object_class, connectivity=rule.connectivity)
        return whole.view(np.uint32)
    labels = np.empty(classes.shape, np.uint32)
    before = 0
    for frame in np.ndindex(*classes.shape[:num_frame_axes]):
        inside = classes[frame] == rule.object_class
        local = connected(inside, connectivity=rule.connectivity)
        labels[frame] = local
        if before:
            np.add(labels[frame], before, out=labels[frame], where=inside)
        before += int(local.max(initial=0))
    return labels


def fragments_of_labels(
    labels: np.ndarray, box: Box, volume: Box, *, ndim: int | None = None
) -> BlockFragments:
    """Describe the fragments of one block.

    Parameters
    ----------
    labels : ndarray of int, (*frames, *space)
        The block's fragments, as :func:`label_block` numbers them: from 1, in the order of their
        first voxel.
    box : Box
        The voxels of the block.
    volume : Box
        The whole volume, in which first voxels are counted.
    ndim : int, optional
        Axes of space: objects touch over the faces of the last ``ndim`` axes; by default, of all.

    Raises
    ------
    GeometryError
        If the labels do not have the shape of the box, or the volume does not contain the box.

    Examples
    --------
    >>> volume = Box((0,), (9,))
    >>> fragments = fragments_of_labels(np.array([1, 0, 2, 2]), Box((5,), (9,)), volume)
    >>> fragments.sizes.tolist(), fragments.first_voxels.tolist()
    ([1, 2], [5, 7])
    """
    if labels.shape != box.shape:
        raise GeometryError(f"labels of shape {labels.shape} for the block {box}")
    origin = [side.start for side in box.within(volume)]
    sizes, firsts = _counted(labels)
    places = np.unravel_index(firsts, box.shape)
    moved = tuple(place + start for place, start in zip(places, origin))
    first_voxels = np.ravel_multi_index(moved, volume.shape).astype(np.int64, copy=False)
    face_type = np.min_scalar_type(len(sizes))
    axes = range(labels.ndim - (ndim or labels.ndim), labels.ndim)
    lows, highs = [
        tuple(np.asarray(labels.take(place, axis), face_type) for axis in axes) for place in (0, -1)
    ]
    return BlockFragments(sizes, first_voxels, lows, highs)


def _counted(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Size and first voxel (in the block) of each label, a few million voxels at a time."""
    flat = labels.ravel()
    sizes = np.zeros(int(flat.max(initial=0)) + 1, np.int64)
    firsts: list[np.ndarray] = []
    seen = 0
    for start in range(0, flat.size, _VOXELS_AT_ONCE):
        voxels = flat[start : start + _VOXELS_AT_ONCE]
        counts = np.bincount(voxels)
        sizes[: len(counts)] += counts
        # Labels are in the order of their first voxel: each is first where the maximum grows to it.
        highest = np.maximum.accumulate(voxels)
        new = np.arange(seen + 1, int(highest[-1]) + 1, dtype=highest.dtype)
        firsts.append(start + np.searchsorted(highest, new))
        seen = max(seen, int(highest[-1]))
    return sizes[1:], np.concatenate(firsts, dtype=np.int64) if firsts else sizes[1:]
