"""The rule that turns grey values into a range: which voxels count, and how far the range goes.

It takes arrays of one channel and gives numbers. Where the arrays come from is ``bigunet.io``'s
work, and what the range is for is the model's.

Percentiles of all voxels fail where most voxels carry no information (an empty background, a value
that stands for "no data") and where a few voxels are far brighter than the rest. So the plane is
cut into cells, and the rule asks what each cell holds::

    0 0 0 0 | 0 0 0 3        left cell:  one value, it says nothing, and is left out
    0 0 0 0 | 0 2 9 8        right cell: an object on its background, it counts
    0 0 0 0 | 0 1 7 9

References
----------
Percentiles 1 to 99.8: Weigert et al. 2018, doi:10.1038/s41592-018-0216-7; Schmidt et al. 2018,
doi:10.1007/978-3-030-00934-2_30. Voxels of an empty background left out: Isensee et al. 2021,
doi:10.1038/s41592-020-01008-z.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bigunet.errors import OptionError
from bigunet.grey.cells import Part
from bigunet.grey.contrast import away_from, by_contrast, holds_weak_objects, noise
from bigunet.grey.outliers import upper_end

_MOST_CONSTANTS = 4
# A smaller share of the voxels moves no percentile that models use.
_LEAST_SHARE = 0.001
# Percentiles this near to an end may lie among outliers.
_OUTER = 3.0
# How far beyond the others padding lies, in ranges of the others.
_FAR = 0.5
_SENTINEL = 3.0
# Percentiles 1 and 99.8 of Gaussian noise are 5.2 of its deviations apart.
_NOISE_SPAN = 10.0
# Where the range is no more than this factor of what the values 3 % further inside span, no rule of
# ``outliers`` would move its end.
_NEAR = 1.2
# Differences of greater numbers, and their multiples, may be greater than float64 holds.
_HUGE = 1e300
_SMALLER = 2.0**-32


@dataclass(frozen=True, slots=True)
class GreyValues:
    """Percentiles of one channel.

    Parameters
    ----------
    values : tuple of int or float
        The value at each quantile; integers stay integers, however large.
    left_out : float
        Share of the voxels, 0 to 1, that say nothing: cells of one value, and padding.
    outliers : bool
        Whether a plain percentile lay in a few voxels far beyond all others, which were left out.
    least, greatest : int or float or None
        Of the voxels that count, where outliers lie beyond them; else None. A network should see
        nothing beyond: it would spoil what lies within a halo of it.
    padding : tuple of int or float
        Values that stand for "no data". A network should see the low end of the range in their
        place.
    others : tuple of int or float
        The values at the quantiles that were asked for beside the range.
    """

    values: tuple[float, ...]
    left_out: float = 0.0
    outliers: bool = False
    least: float | None = None
    greatest: float | None = None
    padding: tuple[float, ...] = ()
    others: tuple[float, ...] = ()


def grey_values(
    parts: Sequence[np.ndarray],
    quantiles: Sequence[float],
    *,
    wanted: Sequence[np.ndarray | None] = (),
    others: Sequence[float] = (),
    specks: bool = True,
) -> GreyValues | None:
    """Percentiles of the voxels that count.

    Parameters
    ----------
    parts : sequence of ndarray, each (*space)
        The last two axes are y and x. Any integer, floating-point or boolean dtype, the same in
        all. Values that are not finite do not count.
    quantiles : sequence of float
        In percent, 0 to 100.
    wanted : sequence of (ndarray of bool, or None), optional
        Which voxels of each part the user asks for; None for all.
    others : sequence of float, optional
        Further quantiles, of the same voxels; outliers do not move them.
    specks : bool, optional
        Whether single bright voxels may be outliers. On a level that is coarser than the one that
        a network sees, they may be objects.

    Returns
    -------
    GreyValues or None
        As ``np.percentile(voxels, quantiles, method="inverted_cdf")`` of the voxels that count;
        None where no voxel is finite and wanted.

    Raises
    ------
    OptionError
        If a quantile is not in 0 to 100.

    Notes
    -----
    1. Cells of 16 × 16 voxels of a plane that hold one single value are left out.
    2. The value of such cells is padding, and is left out everywhere, if it lies far beyond all
       others (by more than half of their range) and most of the other voxels lie in cells without
       it: a strip of "no data" beside an image. It is padding as well if it alone is below 0 and
       lies three ranges below the others. Otherwise it is the background on which objects lie, and
       counts beside them.
    3. If the outermost quantiles lie within the noise, cells that hold nothing but noise are left
       out, where others are left: an image with one small object has no other contrast. The rule
       does not hold where the cells to leave out hold weak objects, which their means show.
    4. The first and the last quantile, where they are below 3 % or above 97 %, are moved inwards
       if they lie far beyond the values that remain without outliers;
       ``bigunet.grey.outliers`` says which voxels are.
    5. Where nothing is left by rule 1, all voxels count.

    Examples
    --------
    >>> image = np.zeros((64, 64), np.uint8)
    >>> image[20:28, 20:28] = np.arange(64).reshape(8, 8) + 100
    >>> grey_values([image], (1, 99.8)).values
    (0, 163)
    """
    check_quantiles((*quantiles, *others))
    given = wanted or [None] * len(parts)
    every = [part for part in map(Part.of, parts, given) if part.size]
    if not every:
        return None
    if _are_huge(every):
        return _of_smaller(parts, quantiles, given, others, specks)
    kept, padding = _that_count(every)
    values = _quantiles(kept, quantiles)
    clear = _beyond_noise(kept, quantiles, values)
    beside = _quantiles(kept, others)
    if clear:
        kept = clear
        values = _quantiles(kept, quantiles)
    total = sum(part.size for part in every)
    left_out = round(1 - sum(part.size for part in kept) / total, 6)
    plain = GreyValues(values, left_out, padding=tuple(padding), others=beside)
    return _without_outliers(kept, quantiles, plain, specks=specks)


def _are_huge(every: Sequence[Part]) -> bool:
    return every[0].voxels.dtype == np.float64 and any(
        max(-part.voxels.min(), part.voxels.max()) > _HUGE for part in every
    )


def _of_smaller(
    parts: Sequence[np.ndarray],
    quantiles: Sequence[float],
    wanted: Sequence[np.ndarray | None],
    others: Sequence[float],
    specks: bool,
) -> GreyValues | None:
    """The same, of numbers that are smaller by a power of two."""
    smaller = [part * _SMALLER for part in parts]
    found = grey_values(smaller, quantiles, wanted=wanted, others=others, specks=specks)
    if found is None:
        return None
    return replace(
        found,
        values=tuple(value / _SMALLER for value in found.values),
        least=None if found.least is None else found.least / _SMALLER,
        greatest=None if found.greatest is None else found.greatest / _SMALLER,
        padding=tuple(value / _SMALLER for value in found.padding),
        others=tuple(value / _SMALLER for value in found.others),
    )


def _beyond_noise(
    kept: Sequence[Part], quantiles: Sequence[float], values: Sequence[Any]
) -> list[Part]:
    """The cells with contrast, if the range lies within the noise and there are such cells."""
    outer = [q for q in quantiles if not _OUTER <= q <= 100 - _OUTER]
    if len(outer) < 2:
        return []
    start, span = min(values), max(values) - min(values)
    strength = noise(kept, start)
    if span >= _NOISE_SPAN * strength:
        return []
    clear, rest = by_contrast(kept, start, _NOISE_SPAN * strength)
    return [] if holds_weak_objects(rest, start, strength) else clear


def check_quantiles(quantiles: Sequence[float]) -> None:
    """Raise OptionError unless all are percentages."""
    if not all(0 <= q <= 100 for q in quantiles):
        raise OptionError(f"quantiles {tuple(quantiles)} are not all percentages from 0 to 100")


def _that_count(every: Sequence[Part]) -> tuple[list[Part], list[Any]]:
    """The voxels that say something, by rules 1, 2 and 5; and the values that are padding."""
    lively = [part.without_flat_cells() for part in every]
    kept = [part for part in lively if part.size]
    if not kept:
        return list(every), []
    padding = []
    for value in _constants(every, lively):
        if _is_padding(kept, value):
            padding.append(value)
            kept = [less for part in kept if (less := part.without(value)).size]
    return kept, padding


def _constants(every: Sequence[Part], lively: Sequence[Part]) -> list[Any]:
    """The values of the cells that were left out, the most frequent first."""
    counts: dict[Any, int] = {}
    for before, after in zip(every, lively):
        if after.counts is None or after is before:
            continue
        left_out = ~after.counts if before.counts is None else before.counts & ~after.counts
        values, times = np.unique(before.voxels[left_out], return_counts=True)
        for value, number in zip(values.tolist(), times.tolist()):
            counts[value] = counts.get(value, 0) + number
    least = _LEAST_SHARE * sum(part.size for part in every)
    frequent = [value for value, number in counts.items() if number >= least]
    return sorted(frequent, key=lambda value: (-counts[value], value))[:_MOST_CONSTANTS]


def _is_padding(kept: Sequence[Part], value: Any) -> bool:
    """Whether a constant stands for "no data", rather than for the background of objects."""
    others = [other for part in kept if (other := part.without(value)).size]
    num_others = sum(part.size for part in others)
    if not num_others:
        return False
    dark, bright = _quantiles(others, (1.0, 99.8))
    gap, span = max(dark - value, value - bright), bright - dark
    # No detector counts below 0.
    if value < 0 and gap > _SENTINEL * span and min(part.chosen().min() for part in others) >= 0:
        return True
    if not gap > _FAR * span:
        return False
    apart = sum(int(np.count_nonzero(part.clear_of(value))) for part in kept)
    return 2 * apart > num_others


def _without_outliers(
    kept: Sequence[Part], quantiles: Sequence[float], plain: GreyValues, *, specks: bool
) -> GreyValues:
    """The values, with the least and the greatest moved inwards where outliers made them."""
    if len(set(quantiles)) < 2:
        return plain
    values, least, greatest = list(plain.values), None, None
    first, last = int(np.argmin(quantiles)), int(np.argmax(quantiles))
    if quantiles[last] > 100 - _OUTER:
        upper = _moved(kept, quantiles[last], values[first], values[last], sign=1, specks=specks)
        if upper:
            values[last], greatest = upper
    if quantiles[first] < _OUTER:
        lower = _moved(kept, quantiles[first], values[last], values[first], sign=-1, specks=specks)
        if lower:
            values[first], least = lower
    # What lies beyond an end that moved inwards moves with it.
    moved = tuple(min(max(value, values[first]), values[last]) for value in values)
    return replace(
        plain, values=moved, outliers=moved != plain.values, least=least, greatest=greatest
    )


def _moved(
    kept: Sequence[Part], quantile: float, start: Any, end: Any, *, sign: int, specks: bool
) -> tuple[Any, Any] | None:
    """One end of the range and the last value that counts, if outliers lie beyond; else None.

    ``sign`` is -1 for the lower end; ``start`` is the other end.
    """
    (inner,) = _quantiles(kept, (quantile - sign * _OUTER,))
    if not sign * (end - start) > _NEAR * sign * (inner - start):
        return None
    # Differences are small enough for float32 where the values themselves need not be.
    away = [Part(sign * away_from(part.voxels, start), part.counts) for part in kept]
    upper = quantile if sign > 0 else 100 - quantile
    found = upper_end(
        away, 0.0, lambda parts, q: float(_quantiles(parts, (q,))[0]), upper, specks=specks
    )
    if found.greatest is None:
        return None
    whole = isinstance(start, int)
    value, last = (round(v) if whole else v for v in (found.value, found.greatest))
    return start + sign * value, start + sign * last


def _quantiles(parts: Sequence[Part], quantiles: Sequence[float]) -> tuple[Any, ...]:
    values = np.concatenate([part.chosen() for part in parts])
    ranks = quantile_ranks(values.size, quantiles)
    return tuple(np.partition(values, ranks)[ranks].tolist()) if ranks.size else ()


def quantile_ranks(size: int, quantiles: Sequence[float]) -> np.ndarray:
    """Which of ``size`` sorted values each quantile is: numpy's ``inverted_cdf``, step by step."""
    return np.array([max(0, math.ceil(size * (q / 100) - 1)) for q in quantiles], np.intp)
