"""Whole numbers of any size in arrays: sums that neither overflow nor round.

::

    number = (limb 0 + limb 1 * 2**32 + limb 2 * 2**64 + ...) * 2**(32 * low)

The form is the only one of its values, so the order of additions leaves no trace. This module knows
nothing of objects or images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

LIMB_BITS = 32
_BASE = 1 << LIMB_BITS
_HALF = _BASE >> 1


@dataclass(frozen=True, slots=True)
class Wide:
    """Exact numbers, in rows (one an object) and parts (such as one an axis).

    Parameters
    ----------
    limbs : ndarray of int64, (rows, parts, limbs)
        From the least to the greatest. All but the last are 0 to below 2**32; the last has the
        sign, and is -2**31 to below 2**31. There are as few as the largest number needs.
    low : int
        Limb 0 counts multiples of 2**(32 * low), which may be below 1.
    """

    limbs: np.ndarray
    low: int

    @classmethod
    def of_planes(cls, planes: Mapping[int, np.ndarray], shape: tuple[int, int]) -> Wide:
        """Add up arrays of int64, (rows, parts), that count multiples of 2**(32 * key).

        Each value is above -2**62 and below 2**62.
        """
        if not planes:
            return cls(np.zeros((*shape, 1), np.int64), 0)
        low, high = min(planes), max(planes)
        limbs = np.zeros((*shape, high - low + 1), np.int64)
        for index, plane in planes.items():
            limbs[..., index - low] = plane
        return cls(*_shortest(_carried(limbs), low))

    @classmethod
    def of(cls, values: np.ndarray) -> Wide:
        """Whole numbers of int64, (rows, parts), above -2**62 and below 2**62."""
        return cls.of_planes({0: values}, (values.shape[0], values.shape[1]))

    def __len__(self) -> int:
        return len(self.limbs)

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """What a file holds of these numbers: limbs of 32 bits, and where they begin."""
        limbs = (self.limbs & (_BASE - 1)).astype(np.uint32)
        return {f"{name}.limbs": limbs, f"{name}.low": np.array(self.low)}

    @classmethod
    def of_arrays(cls, name: str, arrays: Mapping[str, np.ndarray]) -> Wide:
        """The numbers, from the arrays of :meth:`arrays`."""
        limbs = arrays[f"{name}.limbs"].astype(np.int64)
        limbs[..., -1] -= _BASE * (limbs[..., -1] >= _HALF)
        return cls(limbs, int(arrays[f"{name}.low"]))

    def take(self, rows: np.ndarray | slice) -> Wide:
        """These rows, in this order."""
        return Wide(*_shortest(self.limbs[rows], self.low))

    def parts(self, parts: Sequence[int]) -> Wide:
        """These parts, in this order."""
        return Wide(*_shortest(self.limbs[:, list(parts)], self.low))

    def grouped(self, starts: np.ndarray) -> Wide:
        """Add up the rows of each group; a group ends where the next one starts."""
        limbs = np.add.reduceat(self.limbs, starts, axis=0) if len(starts) else self.limbs[:0]
        return Wide(*_shortest(_carried(limbs), self.low))

    def times(self, factors: np.ndarray | int) -> Wide:
        """Multiply by whole numbers from 0 to below 2**31: one, or one a part."""
        factors = np.asarray(factors, np.int64)
        return Wide(*_shortest(_carried(self.limbs * factors[..., None]), self.low))

    def __add__(self, other: Wide) -> Wide:
        low = min(self.low, other.low)
        high = max(_high(self), _high(other))
        limbs = _between(self, low, high) + _between(other, low, high)
        return Wide(*_shortest(_carried(limbs), low))

    def integers(self, low: int | None = None) -> np.ndarray:
        """Python's integers, (rows, parts): multiples of 2**(32 * low), by default of this low."""
        total = np.zeros(self.limbs.shape[:2], object)
        for k in range(self.limbs.shape[2] - 1, -1, -1):
            total = total * _BASE + self.limbs[..., k]
        return total if low is None else total * (1 << (LIMB_BITS * (self.low - low)))


def joined(first: Wide, second: Wide, *, axis: int = 0) -> Wide:
    """The rows (axis 0) or parts (axis 1) of both, one after the other."""
    low, high = min(first.low, second.low), max(_high(first), _high(second))
    pair = [_between(one, low, high) for one in (first, second)]
    return Wide(*_shortest(_carried(np.concatenate(pair, axis=axis)), low))


def merged_rows(first: Wide, second: Wide, order: np.ndarray, starts: np.ndarray) -> Wide:
    """The rows of both in this order, then added up by groups: one pass, for long tables."""
    low, high = min(first.low, second.low), max(_high(first), _high(second))
    rows = np.concatenate([_between(one, low, high) for one in (first, second)])[order]
    limbs = np.add.reduceat(rows, starts, axis=0) if len(starts) else rows
    del rows
    return Wide(*_shortest(_carried(limbs), low))


def _high(wide: Wide) -> int:
    return wide.low + int(wide.limbs.shape[2])


def _between(wide: Wide, low: int, high: int) -> np.ndarray:
    """Limbs from ``low`` to before ``high``, 0 where ``wide`` has none."""
    if (wide.low, _high(wide)) == (low, high):
        return wide.limbs
    limbs = np.zeros((*wide.limbs.shape[:2], high - low), np.int64)
    limbs[..., wide.low - low : _high(wide) - low] = wide.limbs
    return limbs


def _carried(limbs: np.ndarray) -> np.ndarray:
    """Limbs of any int64, with two more for what they carry: 0 to below 2**32 but for the last."""
    longer = np.zeros((*limbs.shape[:2], limbs.shape[2] + 2), np.int64)
    carry = np.zeros(limbs.shape[:2], np.int64)
    for k in range(limbs.shape[2]):
        # Halves are added apart: the whole limb and what it is carried could overflow together.
        lower = (limbs[..., k] & (_BASE - 1)) + (carry & (_BASE - 1))
        longer[..., k] = lower & (_BASE - 1)
        carry = (limbs[..., k] >> LIMB_BITS) + (carry >> LIMB_BITS) + (lower >> LIMB_BITS)
    longer[..., -2] = carry & (_BASE - 1)
    longer[..., -1] = carry >> LIMB_BITS
    return longer


def _shortest(limbs: np.ndarray, low: int) -> tuple[np.ndarray, int]:
    """The same numbers without limbs at either end that none of them needs."""
    count = limbs.shape[2]
    while count > 1:
        below, last = limbs[..., count - 2], limbs[..., count - 1]
        signed = below - _BASE * (below >= _HALF)
        if (last != -(signed < 0).astype(np.int64)).any():
            break
        count -= 1
        if (signed != below).any():
            limbs = limbs[..., :count].copy()
            limbs[..., -1] = signed
    begin = 0
    while begin < count - 1 and not limbs[..., begin].any():
        begin += 1
    if not limbs[..., begin:count].any():
        return np.zeros((*limbs.shape[:2], 1), np.int64), 0
    return np.ascontiguousarray(limbs[..., begin:count]), low + begin
