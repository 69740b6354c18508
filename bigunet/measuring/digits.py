"""Grey values and their squares as digits of 32 bits, so that their sums are exact.

Each function gives planes: arrays of int64 by the power of 2**32 that they count. Each digit is
above -2**34 and below 2**34. Nothing is rounded, but for squares of values of float64 below 2**-480
in size, which count as 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from bigunet.errors import ImageError
from bigunet.measuring.wide import LIMB_BITS

Planes = dict[int, np.ndarray]

_LOWER = (1 << LIMB_BITS) - 1
_TOO_LARGE = 2.0**500
_TOO_SMALL = 2.0**-480


def check_grey_type(dtype: np.dtype) -> None:
    """Refuse what has no grey values of 1 to 8 bytes.

    Raises
    ------
    ImageError
        If the values are neither bool, nor whole numbers, nor float16 to float64.
    """
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise ImageError(f"grey values are {dtype}; give whole numbers, float32 or float64")


def digits(values: np.ndarray) -> Planes:
    """Digits of grey values; those that are not finite count as 0."""
    if values.dtype.kind == "f":
        return _of_floats(_finite(values))
    whole = _whole(values)
    if values.dtype.itemsize < 8:
        return {0: whole.astype(np.int64)}
    lower = (whole & whole.dtype.type(_LOWER)).astype(np.int64)
    return {0: lower, 1: (whole >> whole.dtype.type(LIMB_BITS)).astype(np.int64)}


def square_digits(values: np.ndarray) -> Planes:
    """Digits of the squares of grey values; those that are not finite count as 0.

    Raises
    ------
    ImageError
        If a value of float64 is 2**500 or more in size.
    """
    if values.dtype.kind != "f":
        whole = _whole(values)
        if values.dtype.itemsize <= 2:
            return {0: np.square(whole).astype(np.int64)}
        size = np.abs(whole).view(np.uint64) if whole.dtype.kind == "i" else whole
        return _squares_of_whole(size)
    size = np.abs(_finite(values))
    if values.dtype.itemsize < 8:
        return _of_floats(np.square(size))
    return _added(_of_floats(product) for product in _square_products(size))


def _whole(values: np.ndarray) -> np.ndarray:
    return values.astype(np.uint64 if values.dtype.kind == "u" else np.int64)


def _finite(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, 0).astype(np.float64)


def _of_floats(values: np.ndarray) -> Planes:
    """Digits of float64, from the greatest on: each step takes away what it wrote down."""
    rest, sign = np.abs(values), np.sign(values)
    planes: Planes = {}
    while (largest := float(rest.max(initial=0))) > 0:
        index = (math.frexp(largest)[1] - 1) // LIMB_BITS
        digit = np.floor(_scaled(rest, -LIMB_BITS * index))
        rest -= _scaled(digit, LIMB_BITS * index)
        planes[index] = (digit * sign).astype(np.int64)
    return planes


def _scaled(values: np.ndarray, bits: int) -> np.ndarray:
    """Multiply by 2**bits; the power itself may leave the range of float64."""
    return values * 2.0**bits if abs(bits) < 1000 else np.ldexp(values, bits)


def _squares_of_whole(size: np.ndarray) -> Planes:
    """Digits of squares of uint64."""
    lower, upper = size & np.uint64(_LOWER), size >> np.uint64(LIMB_BITS)
    planes = _halves(lower * lower, 0)
    if upper.any():
        mixed = _halves(lower * upper, 1)
        planes = _added(iter((planes, mixed, mixed, _halves(upper * upper, 2))))
    return planes


def _halves(product: np.ndarray, index: int) -> Planes:
    """The two digits of uint64."""
    lower, upper = product & np.uint64(_LOWER), product >> np.uint64(LIMB_BITS)
    return {index: lower.astype(np.int64), index + 1: upper.astype(np.int64)}


def _square_products(size: np.ndarray) -> Iterator[np.ndarray]:
    """Arrays of float64 that add up to the squares: no product of halves needs rounding.

    References
    ----------
    Dekker: A floating-point technique for extending the available precision, Numerische Mathematik
    1971, doi:10.1007/BF01397083.
    """
    if size.max(initial=0) >= _TOO_LARGE:
        raise ImageError(
            f"a grey value is {size.max():.3g} in size, too large to square; divide the image first"
        )
    size = np.where(size < _TOO_SMALL, 0, size)
    carried = size * (2.0**27 + 1)
    upper = carried - (carried - size)
    lower = size - upper
    yield upper * upper
    yield 2 * upper * lower
    yield lower * lower


def _added(several: Iterator[Planes]) -> Planes:
    total: Planes = {}
    for planes in several:
        for index, plane in planes.items():
            total[index] = total[index] + plane if index in total else plane
    return total
