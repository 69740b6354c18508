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
from bigunet.objects.link_rule import LinkRule
from bigunet.objects.numbering import id_type
from bigunet.objects.overlap_sums import sum_overlaps
from bigunet.objects.overlaps import BlockOverlaps, Overlaps, renamed
from bigunet.objects.ratios import is_less


@dataclass(frozen=True, slots=True, eq=False)
class LinkedObjects:
    """The linked object of each object.

    Attributes
    ----------
    ids : ndarray of uint32 or uint64, (num_unlinked + 1,)
        By the unlinked id: the id of the linked object, or 0 if that was removed. At 0 it is 0.
        So ``ids[unlinked]`` are the ids of voxels or of fragments.
    num_objects : int
        Linked objects that have an id.
    num_small : int
        Linked objects that were removed.
    """

    ids: np.ndarray
    num_objects: int
    num_small: int


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
        pairs = _linked_pairs(renamed(overlaps, lowest), sizes, link.ratio)
        names = _first_of_chains(pairs, len(sizes))
        lowest = names[lowest]
        joined = np.flatnonzero(names != np.arange(len(names)))
        np.add.at(sizes, names[joined], sizes[joined])
    return _numbered(lowest, sizes, smallest)


def _check(overlaps: Overlaps, num_ids: int) -> None:
    both = np.concatenate([overlaps.earlier, overlaps.later])
    if both.size and not 0 < both.min() <= both.max() < num_ids:
        raise GeometryError(
            f"overlaps of objects {both.min()} to {both.max()}, and there are {num_ids - 1}; "
            "count the overlaps of these objects again"
        )


def _linked_pairs(overlaps: Overlaps, sizes: np.ndarray, least: Fraction) -> np.ndarray:
    """Pairs that are linked, of pairs in the order of their ids: int64, (2, num_linked)."""
    together = sizes[overlaps.earlier] + sizes[overlaps.later] - overlaps.voxels
    smaller = np.minimum(sizes[overlaps.earlier], sizes[overlaps.later])
    if (overlaps.voxels > smaller).any():
        raise GeometryError("objects overlap by more than their sizes; give each block once")
    top, bottom = np.array([least.numerator]), np.array([least.denominator])
    # The best partner above the threshold is the best of all, if that is above it.
    high = ~is_less(overlaps.voxels, together, top, bottom)
    pairs = np.stack([overlaps.earlier[high], overlaps.later[high]])
    tops, bottoms = overlaps.voxels[high], together[high]
    best = np.zeros(tops.size, np.int8)
    for ours in pairs:
        # Stable: pairs are in the order of their ids, so that the first partner is the lowest.
        order = np.argsort(ours, kind="stable")
        best[order[_best_of_each(ours[order], tops[order], bottoms[order])]] += 1
    return np.ascontiguousarray(pairs[:, best == 2])


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


def _first_of_chains(pairs: np.ndarray, num_ids: int) -> np.ndarray:
    """The lowest id in the chain of each id: int64, (num_ids,)."""
    earlier, later = pairs
    names = np.arange(num_ids)
    names[later] = earlier  # no object has two before it
    for _ in range(num_ids.bit_length()):  # each round doubles how far back an object sees
        before, names = names, names[names]
        if np.array_equal(before, names):
            break
    has_earlier = np.zeros(num_ids, bool)
    has_earlier[later] = True
    if has_earlier[names[later]].any():
        raise GeometryError("objects follow one another in a circle; count their overlaps again")
    lowest = np.arange(num_ids)
    np.minimum.at(lowest, names[later], later)
    return np.asarray(lowest[names])


def _numbered(lowest: np.ndarray, sizes: np.ndarray, smallest: int) -> LinkedObjects:
    """Ids of linked objects: unlinked ids are in the order of first voxels, and so their lowest."""
    named = lowest == np.arange(len(lowest))
    named[0] = False
    large = np.flatnonzero(named & (sizes >= smallest))
    ids = np.zeros(len(lowest), id_type(len(large)))
    ids[large] = np.arange(1, len(large) + 1, dtype=ids.dtype)
    return LinkedObjects(ids[lowest], len(large), int(named.sum()) - len(large))
