"""Differences between voxels and a number, exact for integers of any size."""

from __future__ import annotations

import math

import numpy as np


def subtract(voxels: np.ndarray, start: float) -> np.ndarray:
    """Subtract a value from the voxels, as float64; exact for integers of any size.

    Parameters
    ----------
    voxels : ndarray
    start : int or float
        The whole part is subtracted as an integer of any size, the fraction as a float.

    Examples
    --------
    >>> subtract(np.array([2**53 + 1, 0], np.uint64), 2**53).tolist()
    [1.0, -9007199254740992.0]
    """
    if voxels.dtype.kind not in "iu" or voxels.dtype.itemsize < 8:
        return voxels.astype(np.float64) - start
    whole = math.floor(start)
    limits = np.iinfo(voxels.dtype)
    nearest = min(max(whole, int(limits.min)), int(limits.max))
    # Unsigned numbers wrap around, so the difference is taken from the greater to the smaller one.
    bits, least = voxels.view(np.uint64), np.uint64(nearest % 2**64)
    above = voxels >= voxels.dtype.type(nearest)
    apart = np.where(above, bits - least, least - bits).astype(np.float64)
    return np.where(above, apart, -apart) + float(nearest - whole) - float(start - whole)
