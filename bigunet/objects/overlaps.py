"""Overlaps of objects in neighbouring frames, counted in one block.

A block reads one frame more along the axis of a link. So each pair of neighbouring frames is
counted in the block of the earlier one, and in no other::

    frames of block a    0 1 2 3 |            a counts 0-1, 1-2, 2-3 and 3-4
    frames of block b            | 4 5 6      b counts 4-5 and 5-6
    a reads              0 1 2 3   4
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bigunet.errors import GeometryError, LabelsError
from bigunet.geometry import Box
from bigunet.npz import npz_arrays, npz_bytes, reading_npz
from bigunet.objects.link_rule import LinkRule


@dataclass(frozen=True, slots=True, eq=False)
class Overlaps:
    """Voxels that pairs of objects share, if the frame of one is laid on that of the other.

    Attributes
    ----------
    earlier, later : ndarray of int64, (num_pairs,)
        Ids of the objects of a pair; the later one lies in the frame that follows.
    voxels : ndarray of int64, (num_pairs,)
        Above 0.

    Raises
    ------
    GeometryError
        If the arrays do not have one length.
    LabelsError
        If an object overlaps with itself.
    """

    earlier: np.ndarray
    later: np.ndarray
    voxels: np.ndarray

    def __post_init__(self) -> None:
        if not self.earlier.shape == self.later.shape == self.voxels.shape == (self.num_pairs,):
            raise GeometryError(
                f"ids of shapes {self.earlier.shape} and {self.later.shape}, and voxels of shape "
                f"{self.voxels.shape}; give one of each for a pair"
            )
        same = self.earlier == self.later
        if same.any():
            raise LabelsError(
                f"object {self.earlier[same][0]} lies in two neighbouring frames; "
                "link along an axis of frames, which no object crosses"
            )

    @property
    def num_pairs(self) -> int:
        return self.voxels.size


@dataclass(frozen=True, slots=True, eq=False)
class BlockOverlaps:
    """The overlaps that one block counts.

    Attributes
    ----------
    of_links : tuple of Overlaps
        One for each link, in the order of the links.
    """

    of_links: tuple[Overlaps, ...]

    def to_bytes(self) -> bytes:
        """The overlaps as a compressed npz file: equal overlaps give equal bytes."""
        arrays = {
            f"{name}_{number}": getattr(one, name)
            for number, one in enumerate(self.of_links)
            for name in ("earlier", "later", "voxels")
        }
        return npz_bytes(arrays, compressed=True)

    @classmethod
    def from_bytes(cls, content: bytes) -> BlockOverlaps:
        """Overlaps from the bytes of :meth:`to_bytes`; nothing is unpickled.

        Raises
        ------
        OutputError
            If the bytes are damaged.
        """
        with reading_npz(content, "the overlaps of a block", "they are counted again"):
            arrays = npz_arrays(content)
            count, odd = divmod(len(arrays), 3)
            if odd:
                raise ValueError("an array is missing")
            names = ("earlier", "later", "voxels")
            return cls(
                tuple(Overlaps(*(arrays[f"{name}_{k}"] for name in names)) for k in range(count))
            )


def overlaps_of_block(
    read: Callable[[Box], np.ndarray], box: Box, volume: Box, links: Sequence[LinkRule]
) -> BlockOverlaps:
    """Count the overlaps of one block with the frames that follow.

    Parameters
    ----------
    read : callable
        Gives the ids of a box: unsigned integers, (*frames, *space), 0 where no object is. They are
        those of all objects without links, and before growth into the border.
    box : Box
        The block.
    volume : Box
        The whole volume.
    links : sequence of LinkRule

    Raises
    ------
    GeometryError
        If a link has an axis that the block has not.
    LabelsError
        If an object crosses the axis of a link.
    """
    return BlockOverlaps(
        tuple(
            overlaps_along(read(box_to_link(box, volume, link.axis)), link.axis) for link in links
        )
    )


def box_to_link(box: Box, volume: Box, axis: int) -> Box:
    """The block, and one frame more along an axis where the volume goes on.

    >>> print(box_to_link(Box((0, 0, 0), (4, 8, 8)), Box((0, 0, 0), (6, 8, 8)), -3))
    [0:5, 0:8, 0:8]
    """
    if not -box.ndim <= axis < 0:
        raise GeometryError(f"block {box} has no axis {axis} to link along")
    stop = list(box.stop)
    stop[axis] += 1
    return Box(box.start, tuple(stop)).intersection(volume)


def overlaps_along(ids: np.ndarray, axis: int) -> Overlaps:
    """The overlaps of objects in neighbouring frames of an array.

    Parameters
    ----------
    ids : ndarray of int, (*frames, *space)
    axis : int
        Of the frames.

    Examples
    --------
    >>> overlaps = overlaps_along(np.array([[1, 1, 1, 0], [0, 2, 2, 2], [3, 3, 0, 0]]), 0)
    >>> overlaps.earlier.tolist(), overlaps.later.tolist(), overlaps.voxels.tolist()
    ([1, 2], [2, 3], [2, 1])
    """
    frames = np.moveaxis(ids, axis, 0)
    return summed([_overlaps(*pair) for pair in itertools.pairwise(frames)])


def renamed(overlaps: Overlaps, names: np.ndarray) -> Overlaps:
    """The overlaps of objects under other ids; those of pairs that are now equal are added.

    Parameters
    ----------
    overlaps : Overlaps
    names : ndarray of int64
        By the id until now.
    """
    return summed([Overlaps(names[overlaps.earlier], names[overlaps.later], overlaps.voxels)])


def _overlaps(earlier: np.ndarray, later: np.ndarray) -> Overlaps:
    """The overlaps of two frames, by runs of voxels with one pair of ids."""
    ours, theirs = earlier.ravel(), later.ravel()
    changes = (ours[1:] != ours[:-1]) | (theirs[1:] != theirs[:-1])
    starts = np.concatenate([np.zeros(min(1, ours.size), np.int64), np.flatnonzero(changes) + 1])
    lengths = np.diff(starts, append=ours.size)
    ours, theirs = ours[starts].astype(np.int64), theirs[starts].astype(np.int64)
    both = (ours > 0) & (theirs > 0)
    return Overlaps(ours[both], theirs[both], lengths[both])


def summed(parts: Sequence[Overlaps]) -> Overlaps:
    """The overlaps of several parts: each pair once, in the order of its ids."""
    none = np.zeros(0, np.int64)
    earlier = np.concatenate([none, *(part.earlier for part in parts)])
    later = np.concatenate([none, *(part.later for part in parts)])
    voxels = np.concatenate([none, *(part.voxels for part in parts)])
    order = np.lexsort((later, earlier))
    earlier, later, voxels = earlier[order], later[order], voxels[order]
    new = np.ones(len(order), bool)
    new[1:] = (earlier[1:] != earlier[:-1]) | (later[1:] != later[:-1])
    starts = np.flatnonzero(new)
    if len(starts):  # reduceat takes no empty list
        voxels = np.add.reduceat(voxels, starts)
    return Overlaps(earlier[starts], later[starts], voxels)
