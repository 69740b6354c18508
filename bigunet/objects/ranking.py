"""Ids of objects by their first voxel, for more objects than memory holds.

Each batch has closed its objects in the order of their first voxel. So the objects of all batches
are taken in bands of first voxels: a band takes a few objects of some batches, which are sorted.

::

    first voxels of batch 0    1 2 5 | 9  |
                    batch 1    3 4   | 12 | 17 18
                    batch 2          | 11 | 15 16
    bands                      5 ids | 3  | 4
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from bigunet.objects.joining import BAND_MARKS, Batch, StitchedFragments
from bigunet.objects.scratch import Column

_LAST = np.iinfo(np.int64).max


def count_large(stitched: StitchedFragments, smallest: int) -> int:
    """Number of objects with ``smallest`` voxels or more."""
    parts = (stitched.sizes.read(b.closed.start, b.closed.stop) for b in stitched.batches)
    return sum(int(np.count_nonzero(sizes >= smallest)) for sizes in parts)


def rank_objects(
    stitched: StitchedFragments, *, smallest: int, before: int, dtype: np.dtype
) -> Column:
    """Ids of all objects, in the order in which they closed.

    Parameters
    ----------
    stitched : StitchedFragments
    smallest : int
        Objects with fewer voxels get the id 0.
    before : int
        The first id is the next.
    dtype : dtype
        The type of the ids.
    """
    ids = stitched.scratch.column(dtype)
    for taken in _bands(stitched):
        firsts = np.concatenate([stitched.first_voxels.read(r.start, r.stop) for r in taken])
        sizes = np.concatenate([stitched.sizes.read(r.start, r.stop) for r in taken])
        large = np.flatnonzero(sizes >= smallest)
        order = large[np.argsort(firsts[large], kind="stable")]
        of_band = np.zeros(len(firsts), dtype)
        of_band[order] = np.arange(before + 1, before + len(order) + 1, dtype=dtype)
        before += len(order)
        begin = 0
        for one in taken:
            ids.write(one.start, of_band[begin : begin + len(one)])
            begin += len(one)
    return ids


def _bands(stitched: StitchedFragments) -> Iterator[list[range]]:
    """The objects of each band, as a range of each batch that has some."""
    batches = stitched.batches
    taken = np.array([batch.closed.start for batch in batches], np.int64)
    ends = np.array([batch.closed.stop for batch in batches], np.int64)
    lowest = np.array([batch.marks[0] if len(batch.marks) else _LAST for batch in batches])
    for stop in _stops(batches):
        band = []
        for number in np.flatnonzero((lowest < stop) & (taken < ends)).tolist():
            begin, end = int(taken[number]), _end(stitched, batches[number], stop)
            if end > begin:
                band.append(range(begin, end))
                taken[number] = end
        if band:
            yield band


def _stops(batches: Sequence[Batch]) -> Iterator[int]:
    """First voxels at which bands end."""
    marks = np.sort(np.concatenate([np.zeros(0, np.int64), *(batch.marks for batch in batches)]))
    yield from marks[BAND_MARKS::BAND_MARKS].tolist()
    yield _LAST


def _end(stitched: StitchedFragments, batch: Batch, stop: int) -> int:
    """The first of the closed objects of a batch with a first voxel of ``stop`` or later."""
    num_marks = int(np.searchsorted(batch.marks, stop))
    begin = batch.closed.start + (num_marks - 1) * stitched.mark_every
    end = min(begin + stitched.mark_every, batch.closed.stop)
    return begin + int(np.searchsorted(stitched.first_voxels.read(begin, end), stop))
