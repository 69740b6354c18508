"""Outliers: hot pixels, saturated spots and debris, which are far brighter than all other voxels.

A percentile such as 99.8 should lie among the bright voxels of the objects. If 0.3 % of the voxels
are hot, the percentile lies among the hot voxels, and the network sees dark objects. Hot voxels
have three signs. Two of them are::

    1 2 9 2     a speck: brighter than its           1 2 9 9     a plateau: many voxels of one
    2 1 2 1     eight neighbours, sharper            2 1 9 9     greatest value, and almost none
    1 2 1 2     than any optics                      1 2 1 2     just below it

The third is a hot area: the brightest cells with contrast are several times as bright as all other
cells with contrast. Each rule moves the upper end only if the move is large, so images without
outliers keep their percentiles to the last digit.

This module finds the upper end. For the lower end, the caller changes the sign of the values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bigunet.grey.cells import Piece
from bigunet.grey.contrast import Cells, noise, only_cells, without_specks

# The end moves if the range shrinks by more than this factor. In 432 fields of nuclei without
# outliers, the rule for specks would change the range by a factor of 1.04 at most.
_MOVED = 1.2
# The factor by which the range must shrink, and the share of the cells with contrast that may be a
# hot area. In none of the 432 fields would the range shrink by as much.
_HOT_AREAS = ((4.0, 0.05), (8.0, 0.15))
_LEAST_CELLS = 20
# A cell of 256 voxels of Gaussian noise has a contrast of 5.6 deviations.
_CONTRAST = 8.0
# A plateau has a share of the voxels between these two, and this many times as many voxels as the
# range just below it.
_PLATEAU_SHARE = (0.0005, 0.02)
_PLATEAU_TIMES = 5

Quantile = Callable[[Sequence[Piece], float], float]


@dataclass(frozen=True, slots=True)
class UpperEnd:
    """The upper end of the grey values.

    Parameters
    ----------
    value : float
    greatest : float or None
        The greatest grey value that is no outlier; None if there are no outliers.
    """

    value: float
    greatest: float | None = None


def upper_end(
    pieces: Sequence[Piece], low: float, quantile: Quantile, percent: float, *, specks: bool
) -> UpperEnd:
    """The upper end of the grey values, with the outliers left out.

    Parameters
    ----------
    pieces : sequence of Piece
        They hold floating-point voxels. In each, at least one voxel counts.
    low : float
        The lower end of the grey values.
    quantile : callable
        Takes pieces and a percentage, and returns that percentile of the voxels that count.
    percent : float
        The percentile that is the upper end.
    specks : bool
        Whether single bright voxels may be outliers.
    """

    def end(some: Sequence[Piece]) -> float:
        return quantile(some, percent)

    def greatest_of(some: Sequence[Piece]) -> float:
        # Specks that touch each other remain, so this is not the maximum.
        return quantile(some, 100 - (100 - percent) / 10)

    plain = end(pieces)
    smooth = [without_specks(piece) for piece in pieces] if specks else list(pieces)
    high, greatest = end(smooth), None
    if _is_moved(plain, high, low, _MOVED):
        greatest = greatest_of(smooth)
    else:
        smooth, high = list(pieces), plain
    for rest, factor in _without_outliers(smooth, low):
        inner = end(rest)
        if _is_moved(high, inner, low, factor):
            return UpperEnd(inner, greatest_of(rest))
    return UpperEnd(high, greatest)


def _is_moved(high: float, inner: float, low: float, factor: float) -> bool:
    return high - low > factor * (inner - low) > 0


def _without_outliers(pieces: Sequence[Piece], low: float) -> list[tuple[list[Piece], float]]:
    """Ways to leave out outliers: the remaining pieces, and how much the range must shrink."""
    tops, lively = Cells.of(pieces).highest, _lively(pieces)
    ways = []
    limit = _below_plateau(pieces, low, max(float(top.max()) for top in tops))
    if limit is not None and _enough(lively <= limit):
        ways.append((only_cells(pieces, [top <= limit for top in tops]), _MOVED))
    for factor, share in _HOT_AREAS:
        if _enough(lively):
            limit = float(lively[-1 - int(share * lively.size)])
            ways.append((only_cells(pieces, [top <= limit for top in tops]), factor))
    return ways


def _lively(pieces: Sequence[Piece]) -> np.ndarray:
    """The greatest value of each cell with contrast, in ascending order."""
    cells = Cells.of(pieces)
    held = cells.beyond(_CONTRAST * noise(pieces))
    return np.sort(np.concatenate([top[h] for top, h in zip(cells.highest, held)]))


def _enough(cells: np.ndarray) -> bool:
    """Whether enough cells with contrast remain, so that the end lies among objects."""
    return int(np.count_nonzero(cells)) >= _LEAST_CELLS


def _below_plateau(pieces: Sequence[Piece], low: float, greatest: float) -> float | None:
    """A value that only the voxels of a plateau exceed; None if there is no plateau."""
    span = greatest - low
    bright = np.concatenate([piece.chosen()[piece.chosen() > low + 0.4 * span] for piece in pieces])
    few, many = (share * sum(piece.size for piece in pieces) for share in _PLATEAU_SHARE)
    # Saturated voxels have exactly one value. Other plateaus are close values above a gap.
    for limit, below in ((_just_below(greatest, bright.dtype), 0.8), (low + 0.8 * span, 0.4)):
        at_top = int(np.count_nonzero(bright > limit))
        beside = int(np.count_nonzero(bright > low + below * span)) - at_top
        if few <= at_top <= many and at_top >= _PLATEAU_TIMES * beside:
            return float(limit)
    return None


def _just_below(value: float, dtype: np.dtype) -> float:
    """The next smaller number that this dtype holds."""
    return float(np.nextafter(dtype.type(value), dtype.type(-np.inf)))
