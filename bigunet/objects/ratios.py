"""Compares ratios of whole numbers exactly: by their cross products, in 128 bits.

An IoU is a ratio of voxel counts. Rounding would decide between equal ones, and products of large
counts do not fit into 64 bits.
"""

from __future__ import annotations

import numpy as np

_HALF = np.uint64(32)
_LOW = np.uint64(2**32 - 1)


def is_less(
    tops: np.ndarray, bottoms: np.ndarray, other_tops: np.ndarray, other_bottoms: np.ndarray
) -> np.ndarray:
    """Where ``tops / bottoms`` is less than ``other_tops / other_bottoms``.

    Parameters
    ----------
    tops, bottoms, other_tops, other_bottoms : ndarray of int64, of shapes that fit together
        From 0 to 2**63 - 1; bottoms are above 0.

    Returns
    -------
    ndarray of bool

    Examples
    --------
    >>> is_less(np.array([1, 1, 2]), np.array([3, 2, 3]), np.array([2]), np.array([4]))
    array([ True, False, False])
    """
    if _fit(tops, other_bottoms) and _fit(other_tops, bottoms):
        return np.asarray(tops * other_bottoms < other_tops * bottoms)
    high, low = _products(tops, other_bottoms)
    other_high, other_low = _products(other_tops, bottoms)
    return np.asarray((high < other_high) | ((high == other_high) & (low < other_low)))


def _fit(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether all products fit into 64 bits."""
    return int(first.max(initial=0)) * int(second.max(initial=0)) < 2**63


def _products(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The high and the low 64 bits of products, by long multiplication of halves."""
    a, b = np.asarray(first).astype(np.uint64), np.asarray(second).astype(np.uint64)
    a_high, a_low, b_high, b_low = a >> _HALF, a & _LOW, b >> _HALF, b & _LOW
    lowest = a_low * b_low
    middle = a_high * b_low + (lowest >> _HALF)
    other_middle = a_low * b_high + (middle & _LOW)
    high = a_high * b_high + (middle >> _HALF) + (other_middle >> _HALF)
    return high, (other_middle << _HALF) | (lowest & _LOW)
