"""Links objects of neighbouring frames, when the overlaps of all blocks are known.

::

    unlinked ids       1, 2, 3 ...        dense, unique over all frames, no object removed
    links of planes    each chain of objects along z becomes one object
    links of time      each chain of these objects along t becomes one object
    ids                chains in the order of their first voxel, without those that are too small

No decision depends on the blocks: sizes and overlaps are those of the whole image, and IoUs are
compared exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from bigunet.errors import GeometryError, OptionError
from bigunet.objects.components import components
from bigunet.objects.link_rule import LinkRule
from bigunet.objects.numbering import ObjectIds, id_type
from bigunet.objects.overlaps import BlockOverlaps, Overlaps, renamed, sum_overlaps
from bigunet.objects.ratios import is_less


@dataclass(frozen=True, slots=True, eq=False)
class LinkedObjects:
    """The linked object of each object.

    Attributes
    ----------
    ids : ndarray of uint32 or uint64, (num_unlinked + 1,)
        By the unlinked id: the id of the linked object, or 0 if that was removed. At 0 it is 0.
    num_objects : int
        Linked objects that have an id.
    num_small : int
        Linked objects that were removed.
    """

    ids: np.ndarray
    num_objects: int
    num_small: int

    def of_fragments(self, unlinked: ObjectIds) -> ObjectIds:
        """The id of the linked object of each fragment.

        Parameters
        ----------
        unlinked : ObjectIds
            Those that the overlaps were counted with.
        """
        ids = self.ids[unlinked.ids]
        return ObjectIds(unlinked.offsets, ids, self.num_objects, self.num_small)


def link_objects(
    sizes: np.ndarray,
    blocks: Iterable[BlockOverlaps],
    links: Sequence[LinkRule],
    *,
    smallest: int = 0,
) -> LinkedObjects:
    """Link objects along one axis after the other, and number those that are large enough.

    Parameters
    ----------
    sizes : ndarray of int64, (num_unlinked + 1,)
        Voxels of each unlinked object by its id: see
        :func:`bigunet.objects.numbering.sizes_of_objects`.
    blocks : iterable of BlockOverlaps
        Those of every block, in any order. Each is taken once.
    links : sequence of LinkRule
        Those that the blocks have counted for, the innermost axis first.
    smallest : int
        Linked objects with fewer voxels, in all frames together, are removed.

    Raises
    ------
    GeometryError
        If the overlaps are not those of these objects.
    OptionError
        If a number is negative.
    """
    if smallest < 0:
        raise OptionError(f"smallest {smallest} must be 0 or more")
    lowest = np.arange(len(sizes))
    sizes = sizes.copy()
    for link, overlaps in zip(links, sum_overlaps(blocks, len(links))):
        _check(overlaps, len(sizes))
        pairs = _linked_pairs(renamed(overlaps, lowest), sizes, link.least)
        members, chain = components(pairs)
        firsts = _first_of_each(members, chain)
        names = np.arange(len(sizes))
        names[members] = firsts
        lowest = names[lowest]
        moved, sizes[members] = sizes[members], 0
        np.add.at(sizes, firsts, moved)
    return _numbered(lowest, sizes, smallest)


def _check(overlaps: Overlaps, num_ids: int) -> None:
    both = np.concatenate([overlaps.earlier, overlaps.later])
    if both.size and not 0 < both.min() <= both.max() < num_ids:
        raise GeometryError(
            f"overlaps of objects {both.min()} to {both.max()}, and there are {num_ids - 1}; "
            "count the overlaps of these objects again"
        )


def _linked_pairs(overlaps: Overlaps, sizes: np.ndarray, least: Fraction) -> np.ndarray:
    """Pairs that are linked: int64, (2, num_linked)."""
    together = sizes[overlaps.earlier] + sizes[overlaps.later] - overlaps.voxels
    smaller = np.minimum(sizes[overlaps.earlier], sizes[overlaps.later])
    if (overlaps.voxels > smaller).any():
        raise GeometryError("objects overlap by more than their sizes; give each block once")
    ious = overlaps.voxels, together
    best = np.zeros(overlaps.num_pairs, np.int8)
    for ours, theirs in (
        (overlaps.earlier, overlaps.later),
        (overlaps.later, overlaps.earlier),
    ):
        order = np.lexsort((theirs, ours))
        best[order[_best_of_each(ours[order], *(part[order] for part in ious))]] += 1
    top, bottom = np.array([least.numerator]), np.array([least.denominator])
    linked = (best == 2) & ~is_less(*ious, top, bottom)
    return np.stack([overlaps.earlier[linked], overlaps.later[linked]])


def _best_of_each(groups: np.ndarray, tops: np.ndarray, bottoms: np.ndarray) -> np.ndarray:
    """Place of the highest ratio of each group, the first of equal ones: neighbours play off.

    Parameters
    ----------
    groups : ndarray of int64
        In ascending order.
    tops, bottoms : ndarray of int64
        Of the ratios.
    """
    left = np.arange(len(groups))
    while True:
        same = groups[left[1:]] == groups[left[:-1]]
        if not same.any():
            return left
        starts = np.concatenate([[0], np.flatnonzero(~same) + 1])
        rank = np.arange(len(left)) - np.repeat(starts, np.diff(starts, append=len(left)))
        seconds = np.flatnonzero(rank % 2 == 1)
        first, second = left[seconds - 1], left[seconds]
        wins = is_less(tops[first], bottoms[first], tops[second], bottoms[second])
        left[seconds - 1] = np.where(wins, second, first)
        left = np.delete(left, seconds)


def _first_of_each(members: np.ndarray, chain: np.ndarray) -> np.ndarray:
    """The lowest member of the chain of each member; members are in ascending order."""
    _, firsts = np.unique(chain, return_index=True)
    return np.asarray(members[firsts][chain])


def _numbered(lowest: np.ndarray, sizes: np.ndarray, smallest: int) -> LinkedObjects:
    """Ids of linked objects: unlinked ids are in the order of first voxels, and so their lowest."""
    named = lowest == np.arange(len(lowest))
    named[0] = False
    large = np.flatnonzero(named & (sizes >= smallest))
    ids = np.zeros(len(lowest), id_type(len(large)))
    ids[large] = np.arange(1, len(large) + 1, dtype=ids.dtype)
    return LinkedObjects(ids[lowest], len(large), int(named.sum()) - len(large))
