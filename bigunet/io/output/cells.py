"""Cells of one or two voxels per axis: their corners, and slabs of them that fit a cache."""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Voxels = npt.NDArray[Any]

# A slab, its sums and its result stay in a cache of 1 MB. Smaller slabs take more calls.
_SLAB_VOXELS = 1 << 17
_PAIRS = {1: "u2", 2: "u4", 4: "u8"}
"""For each size of a voxel in bytes, the type that holds two neighbours of a row."""


def slabs(
    shape: Sequence[int], cell: Sequence[int]
) -> Iterator[tuple[tuple[slice, ...], tuple[slice, ...]]]:
    """Cut an array of whole cells into parts that a cache holds: source and target of each.

    Parameters
    ----------
    shape : sequence of int
        Cells along each axis.
    cell : sequence of 1 or 2, per axis
    """
    most, inner, steps = _SLAB_VOXELS // math.prod(cell), math.prod(shape), []
    for extent in shape[:-1]:
        inner //= max(1, extent)
        steps.append(max(1, min(extent, most // max(1, inner))))
    steps.append(max(1, shape[-1]))
    starts = [range(0, extent, step) for extent, step in zip(shape, steps)]
    for start in itertools.product(*starts):
        target = tuple(slice(a, min(a + s, n)) for a, s, n in zip(start, steps, shape))
        yield tuple(slice(t.start * c, t.stop * c) for t, c in zip(target, cell)), target


def corners(slab: Voxels, cell: Sequence[int]) -> list[Voxels]:
    """The voxels at each corner of the cells, in C order; each of them is contiguous."""
    return [half for row in rows(slab, cell) for half in _halves(row, cell[-1])]


def rows(slab: Voxels, cell: Sequence[int]) -> list[Voxels]:
    """The rows at each corner of the cells along all axes but the last, in C order."""
    starts = itertools.product(*map(range, cell[:-1]))
    return [slab[tuple(slice(s, None, c) for s, c in zip(start, cell))] for start in starts]


def _halves(row: Voxels, step: int) -> list[Voxels]:
    """The voxels of a row at each corner of its cells."""
    pair = _PAIRS.get(row.dtype.itemsize)
    row = np.ascontiguousarray(row)
    if step == 1:
        return [row]
    if pair is None or row.dtype.kind not in "iu" or sys.byteorder != "little":
        return [np.ascontiguousarray(row[..., start::step]) for start in range(step)]
    # To take each second voxel is slow. To convert a pair to a smaller type keeps its low bytes.
    pairs, unsigned = row.view(pair), f"u{row.dtype.itemsize}"
    halves = (pairs, pairs >> (8 * row.dtype.itemsize))
    return [half.astype(unsigned).view(row.dtype) for half in halves]
