"""The mean of each cell of voxels; it works in slabs that fit the processor's cache."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bigunet.io.output.cells import corners, slabs

Voxels = npt.NDArray[Any]


def mean(voxels: Voxels, cell: Sequence[int]) -> Voxels:
    """Mean of each cell; for integers, halves are rounded up.

    Parameters
    ----------
    voxels : ndarray of an integer or floating dtype
        A whole number of cells along each axis.
    cell : sequence of 1 or 2, per axis

    Returns
    -------
    ndarray
        Of the same dtype.
    """
    if math.prod(cell) == 1:
        return voxels
    result = np.empty([n // c for n, c in zip(voxels.shape, cell)], voxels.dtype)
    for source, target in slabs(result.shape, cell):
        result[target] = _mean(corners(np.ascontiguousarray(voxels[source]), cell))
    return result


def _mean(corners: list[Voxels]) -> Voxels:
    dtype = corners[0].dtype
    num = len(corners)
    if not np.issubdtype(dtype, np.integer):
        return (np.sum(corners, axis=0, dtype=np.float64) / num).astype(dtype)
    if dtype == np.uint8:
        total = np.full(corners[0].shape, num // 2, np.uint16)
        for corner in corners:
            total += corner
        return (total >> (num.bit_length() - 1)).astype(np.uint8)
    # num is a power of two. Quotients and remainders are summed separately, so that no dtype
    # overflows, not even uint64.
    bits = num.bit_length() - 1
    quotient = np.zeros(corners[0].shape, dtype)
    remainder = np.zeros(corners[0].shape, np.int16)
    for corner in corners:
        quotient += corner >> bits
        remainder += (corner & (num - 1)).astype(np.int16)
    quotient += ((2 * remainder + num) >> (bits + 1)).astype(dtype)
    return quotient
