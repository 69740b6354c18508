"""Mean, deviation and percentiles of all voxels of an image that memory may not hold.

The caller gives a function that passes over the voxels, part by part, as often as it is called. The
results are those of numpy on all voxels at once, however they are cut into parts: percentiles to
the last digit, mean and deviation but for rounding in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Passes = Callable[[], Iterable[np.ndarray]]
"""Passes once over all voxels, in parts of one dtype, each of one axis and without NaN."""

_DIGIT_BITS = 16


@dataclass(frozen=True, slots=True)
class Moments:
    """Number, mean, and sum of the squared differences from the mean.

    Examples
    --------
    >>> (Moments.of(np.array([1.0, 2.0])) + Moments.of(np.array([6.0]))).mean
    3.0

    References
    ----------
    Merging: Chan, Golub, LeVeque 1983, doi:10.1080/00031305.1983.10483115.
    """

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    @classmethod
    def of(cls, voxels: np.ndarray) -> Moments:
        """The moments of the voxels of one part."""
        if not voxels.size:
            return cls()
        values = voxels.astype(np.float64)
        mean = float(values.mean())
        return cls(values.size, mean, float(np.square(values - mean).sum()))

    def __add__(self, other: Moments) -> Moments:
        count = self.count + other.count
        if not count:
            return self
        apart = other.mean - self.mean
        mean = self.mean + apart * other.count / count
        between = apart * apart * self.count * other.count / count
        return Moments(count, mean, self.squares + other.squares + between)

    @property
    def deviation(self) -> float:
        """The standard deviation, of all voxels and not of a sample: numpy's ``std``."""
        return math.sqrt(self.squares / self.count) if self.count else 0.0


def percentiles_of(passes: Passes, percents: Sequence[float]) -> tuple[float, ...]:
    """Percentiles as ``np.percentile(voxels, percents)`` gives them in float64.

    There is one pass for each 16 bits of a voxel. Without voxels there are no percentiles.
    """
    ranks: list[int] = []
    shares: list[float] = []

    def ranks_of(count: int) -> list[int]:
        for percent in percents:
            place = (count - 1) * (percent / 100)
            below = min(int(place), count - 1)
            ranks.extend((below, min(below + 1, count - 1)))
            shares.append(place - below)
        return ranks

    values = _ranked(passes, ranks_of)
    pairs = zip(values[::2], values[1::2], shares)
    return tuple(_between(float(a), float(b), share) for a, b, share in pairs)


def _between(low: float, high: float, share: float) -> float:
    """The number at a share of the way, from the nearer end: numpy's rounding."""
    step = high - low
    return low + step * share if share < 0.5 else high - step * (1 - share)


def _ranked(passes: Passes, ranks_of: Callable[[int], list[int]]) -> list[Any]:
    """The values at some ranks of the sorted voxels: digit by digit, the highest first."""
    dtype, counts = _counts(passes, None, 0)
    if dtype is None or not (total := int(counts[0].sum())):
        return []
    # Of each rank: the digits of its value that are known, and its rank among voxels with these.
    known = [(0, rank) for rank in ranks_of(total)]
    bits = 8 * dtype.itemsize
    shift = bits - min(bits, _DIGIT_BITS)
    while True:
        known = [_next_digit(prefix, rank, counts[prefix], bits, shift) for prefix, rank in known]
        if not shift:
            return [_value(prefix, dtype) for prefix, _ in known]
        shift -= _DIGIT_BITS
        _, counts = _counts(passes, sorted({prefix for prefix, _ in known}), shift)


def _counts(
    passes: Passes, prefixes: list[int] | None, shift: int
) -> tuple[np.dtype[Any] | None, dict[int, np.ndarray]]:
    """How often each next digit follows each prefix; without prefixes, the highest digits."""
    dtype: np.dtype[Any] | None = None
    counts = {prefix: np.zeros(1 << _DIGIT_BITS, np.int64) for prefix in prefixes or [0]}
    for voxels in passes():
        dtype = voxels.dtype
        keys = _keys(voxels)
        kind = keys.dtype.type
        if prefixes is None:
            shift = max(0, 8 * dtype.itemsize - _DIGIT_BITS)
        for prefix, count in counts.items():
            some = keys
            if prefixes is not None:
                some = keys[(keys >> kind(shift + _DIGIT_BITS)) == kind(prefix)]
            digits = (some >> kind(shift)) & kind(min((1 << _DIGIT_BITS) - 1, np.iinfo(kind).max))
            count += np.bincount(digits.astype(np.intp), minlength=1 << _DIGIT_BITS)
    return dtype, counts


def _next_digit(
    prefix: int, rank: int, count: np.ndarray, bits: int, shift: int
) -> tuple[int, int]:
    """The prefix with the digit of this rank, and the rank among the voxels that have both."""
    sums = np.cumsum(count)
    digit = int(np.searchsorted(sums, rank, side="right"))
    before = int(sums[digit - 1]) if digit else 0
    return (prefix << min(bits - shift, _DIGIT_BITS)) | digit, rank - before


def _keys(voxels: np.ndarray) -> np.ndarray:
    """Unsigned integers in the order of the voxels."""
    unsigned = np.dtype(f"u{voxels.dtype.itemsize}")
    keys: np.ndarray = np.ascontiguousarray(voxels).view(unsigned)
    sign = unsigned.type(1 << (8 * unsigned.itemsize - 1))
    if voxels.dtype.kind == "i":
        keys = keys ^ sign
    elif voxels.dtype.kind == "f":
        keys = np.where(keys & sign, ~keys, keys | sign)
    return keys


def _value(key: int, dtype: np.dtype[Any]) -> Any:
    """The voxel with this key."""
    bits = 8 * dtype.itemsize
    sign = 1 << (bits - 1)
    if dtype.kind == "i":
        key ^= sign
    elif dtype.kind == "f":
        key = key ^ sign if key & sign else key ^ ((1 << bits) - 1)
    return np.array(key, np.dtype(f"u{dtype.itemsize}")).view(dtype).item()
