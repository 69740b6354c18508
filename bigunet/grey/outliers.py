"""Voxels far beyond all others: hot pixels, saturated spots, debris; where the grey values end.

A percentile such as 99.8 is meant to lie among the bright voxels of the objects. Where 0.3 % of the
voxels are hot, it lies among these, and the objects become dark. Hot voxels have three signs::

    1 2 9 2     a speck: beyond all of its           1 2 9 9     a plateau: many voxels of one
    2 1 2 1     eight neighbours, which no           2 1 9 9     greatest value, and almost none
    1 2 1 2     optics resolve                       1 2 1 2     just below it

and a hot area: the brightest of the cells that hold contrast are several times as bright as all the
others. Each rule moves the end only if the move is large: images without outliers keep their
percentiles to the last digit.

This module looks at the upper end. Whoever asks for the lower end turns the values over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bigunet.grey.cells import Part
from bigunet.grey.contrast import Cells, noise, only_cells, without_specks

# A move of the end that is worth it, as a factor of the range. Of 432 fields of nuclei without
# outliers, none would be moved by more than 1.04 for specks.
_MOVED = 1.2
# Factor of the range, and share of the cells with contrast that may be a hot area. None of the 432
# fields would be moved by as much.
_HOT_AREAS = ((4.0, 0.05), (8.0, 0.15))
_LEAST_CELLS = 20
# A cell of 256 voxels of Gaussian noise spans 5.6 deviations.
_CONTRAST = 8.0
# A plateau: its share of the voxels, and how many times as many voxels it holds as the range just
# below it.
_PLATEAU_SHARE = (0.0005, 0.02)
_PLATEAU_TIMES = 5

Quantile = Callable[[Sequence[Part], float], float]


@dataclass(frozen=True, slots=True)
class UpperEnd:
    """The upper end of the grey values, and the greatest that is no outlier; None if all count."""

    value: float
    greatest: float | None = None


def upper_end(
    parts: Sequence[Part], low: float, quantile: Quantile, percent: float, *, specks: bool
) -> UpperEnd:
    """The upper end of the grey values, without outliers where there are some.

    Parameters
    ----------
    parts : sequence of Part
        Of floating-point voxels, each with at least one voxel.
    low : float
        The lower end of the grey values.
    quantile : callable
        Gives a percentile of any parts.
    percent : float
        Which percentile is the upper end.
    specks : bool
        Whether single bright voxels may be outliers.
    """

    def end(some: Sequence[Part]) -> float:
        return quantile(some, percent)

    def greatest_of(some: Sequence[Part]) -> float:
        # Specks that touch are left, so not the very greatest.
        return quantile(some, 100 - (100 - percent) / 10)

    plain = end(parts)
    smooth = [without_specks(part) for part in parts] if specks else list(parts)
    high, greatest = end(smooth), None
    if _is_moved(plain, high, low, _MOVED):
        greatest = greatest_of(smooth)
    else:
        smooth, high = list(parts), plain
    for rest, factor in _without_outliers(smooth, low):
        inner = end(rest)
        if _is_moved(high, inner, low, factor):
            return UpperEnd(inner, greatest_of(rest))
    return UpperEnd(high, greatest)


def _is_moved(high: float, inner: float, low: float, factor: float) -> bool:
    return high - low > factor * (inner - low) > 0


def _without_outliers(parts: Sequence[Part], low: float) -> list[tuple[list[Part], float]]:
    """What may be left without outliers, and by which factor the end must move for it."""
    tops, lively = Cells.of(parts).highest, _lively(parts)
    found = []
    limit = _below_plateau(parts, low, max(float(top.max()) for top in tops))
    if limit is not None and _enough(lively <= limit):
        found.append((only_cells(parts, [top <= limit for top in tops]), _MOVED))
    for factor, share in _HOT_AREAS:
        if _enough(lively):
            limit = float(lively[-1 - int(share * lively.size)])
            found.append((only_cells(parts, [top <= limit for top in tops]), factor))
    return found


def _lively(parts: Sequence[Part]) -> np.ndarray:
    """The greatest value of each cell with contrast, sorted."""
    cells = Cells.of(parts)
    held = cells.beyond(_CONTRAST * noise(parts))
    return np.sort(np.concatenate([top[h] for top, h in zip(cells.highest, held)]))


def _enough(cells: np.ndarray) -> bool:
    """Whether so many cells with contrast are left that the end lies among objects."""
    return int(np.count_nonzero(cells)) >= _LEAST_CELLS


def _below_plateau(parts: Sequence[Part], low: float, greatest: float) -> float | None:
    """A value that only the voxels of a plateau exceed; None where there is no plateau."""
    span = greatest - low
    bright = np.concatenate([part.chosen()[part.chosen() > low + 0.4 * span] for part in parts])
    few, many = (share * sum(part.size for part in parts) for share in _PLATEAU_SHARE)
    # One value exactly, as of saturated voxels; or values close to one another, above a gap.
    for limit, below in ((_just_below(greatest, bright.dtype), 0.8), (low + 0.8 * span, 0.4)):
        at_top = int(np.count_nonzero(bright > limit))
        beside = int(np.count_nonzero(bright > low + below * span)) - at_top
        if few <= at_top <= many and at_top >= _PLATEAU_TIMES * beside:
            return float(limit)
    return None


def _just_below(value: float, dtype: np.dtype) -> float:
    """The next smaller number that the voxels' type holds."""
    return float(np.nextafter(dtype.type(value), dtype.type(-np.inf)))
