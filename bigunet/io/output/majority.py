"""The most frequent label of each cell of voxels; it works in slabs that fit the processor's cache.

Labels of 0 and 1 are added up, two voxels of a row at a time. Of other labels, only cells that hold
several of them are counted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bigunet.io.output.cells import corners, rows, slabs

Labels = npt.NDArray[Any]


def majority(labels: Labels, cell: Sequence[int]) -> Labels:
    """Most frequent label of each cell; of equally frequent ones the first in C order.

    Parameters
    ----------
    labels : ndarray of an integer dtype
        A whole number of cells along each axis.
    cell : sequence of 1 or 2, per axis

    Returns
    -------
    ndarray
        Of the same dtype.
    """
    if math.prod(cell) <= 2:
        return labels[tuple(slice(None, None, c) for c in cell)]
    result = np.empty([n // c for n, c in zip(labels.shape, cell)], labels.dtype)
    reduce = _of_two_labels if _is_binary(labels) else _of_any_labels
    for source, target in slabs(result.shape, cell):
        result[target] = reduce(np.ascontiguousarray(labels[source]), cell)
    return result


def _most_frequent(corners: Sequence[Labels]) -> Labels:
    """The most frequent of the labels at the same place; in a tie the first of them.

    Parameters
    ----------
    corners : sequence of ndarray
        The labels at each corner of the cells, all of one shape.
    """
    if len(corners) == 4:
        return _of_four(*corners)
    best = corners[0]
    best_count = _count_equal(best, corners)
    for corner in corners[1:]:
        count = _count_equal(corner, corners)
        better = count > best_count
        best = np.where(better, corner, best)
        best_count = np.where(better, count, best_count)
    return best


def _is_binary(labels: Labels) -> bool:
    """Whether all labels are bytes of 0 or 1."""
    return labels.dtype == np.uint8 and labels.size > 0 and int(labels.max()) <= 1


def _of_two_labels(slab: Labels, cell: Sequence[int]) -> Labels:
    """The majority in cells of 0 and 1: the first corner counts twice, which decides ties."""
    first, *others = rows(slab, cell)
    total = first.copy()
    for row in others:
        total += row
    if cell[-1] == 1:
        total += first
    else:
        # The first voxel of a pair is its low byte; the sum of a cell never reaches the next byte.
        pairs = total.view("<u2")
        pairs = (pairs >> 8) + pairs + np.ascontiguousarray(first).view("<u2")
        total = pairs.astype(np.uint8)
    size = math.prod(cell)
    total += size // 2 - 1
    total >>= size.bit_length() - 1
    return total


def _of_any_labels(slab: Labels, cell: Sequence[int]) -> Labels:
    at_corners = corners(slab, cell)
    first, *others = at_corners
    differs = first != others[0]
    for other in others[1:]:
        differs |= first != other
    num_mixed = np.count_nonzero(differs)
    if len(at_corners) == 4 and 4 * num_mixed > differs.size:
        return _of_four(*at_corners)
    result = first.copy()
    if num_mixed:
        mixed = np.flatnonzero(differs)
        result.reshape(-1)[mixed] = _most_frequent([c.reshape(-1)[mixed] for c in at_corners])
    return result


def _of_four(a: Labels, b: Labels, c: Labels, d: Labels) -> Labels:
    # With two pairs, or four different labels, the result must be a.
    later = np.where((b == c) | (b == d), b, np.where(c == d, c, a))
    return np.where((a == b) | (a == c) | (a == d), a, later)


def _count_equal(corner: Labels, corners: Sequence[Labels]) -> npt.NDArray[np.uint8]:
    count = np.zeros(corner.shape, np.uint8)
    for other in corners:
        count += corner == other
    return count
