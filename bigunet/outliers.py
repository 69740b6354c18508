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

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bigunet.cells import Part, by_cell, on_voxels

# A move of the end that is worth it, as a factor of the range. Of 432 fields of nuclei without
# outliers, none would be moved by more than 1.04 for specks.
_MOVED = 1.2
# Factor of the range, and share of the cells with contrast that may be a hot area. Of the 432
# fields, two would be moved by as much as one of these.
_HOT_AREAS = ((3.5, 0.05), (8.0, 0.15))
_LEAST_CELLS = 20
# A cell of 256 voxels of Gaussian noise spans 5.6 deviations.
_CONTRAST = 8.0
# Of each part, differences between neighbours that the noise is estimated from.
_MOST_STEPS = 2**18
# A plateau: its share of the voxels, and how many times as many voxels it holds as the range just
# below it.
_PLATEAU_SHARE = (0.0005, 0.02)
_PLATEAU_TIMES = 5

Quantile = Callable[[Sequence[Part]], float]


@dataclass(frozen=True, slots=True)
class UpperEnd:
    """The upper end of the grey values, and the greatest that is no outlier; None if all count."""

    value: float
    greatest: float | None = None


def upper_end(parts: Sequence[Part], low: float, quantile: Quantile) -> UpperEnd:
    """The upper end of the grey values, without outliers where there are some.

    Parameters
    ----------
    parts : sequence of Part
        Of float32 voxels, each with at least one voxel.
    low : float
        The lower end of the grey values.
    quantile : callable
        Gives the upper end of any parts.
    """
    plain = quantile(parts)
    smooth = [Part(_without_specks(part), part.counts) for part in parts]
    high, greatest = quantile(smooth), None
    if _is_moved(plain, high, low, _MOVED):
        greatest = _greatest(smooth)
    else:
        smooth, high = list(parts), plain
    for rest, factor in _without_outliers(smooth, low):
        inner = quantile(rest)
        if _is_moved(high, inner, low, factor):
            return UpperEnd(inner, _greatest(rest))
    return UpperEnd(high, greatest)


def _greatest(parts: Sequence[Part]) -> float:
    return max(float(part.chosen().max()) for part in parts if part.size)


def _is_moved(high: float, inner: float, low: float, factor: float) -> bool:
    return high - low > factor * (inner - low) > 0


def _without_specks(part: Part) -> np.ndarray:
    """Each voxel, no greater than the greatest of its eight neighbours in the plane."""
    lowest = part.voxels.min()
    known = part.voxels if part.counts is None else np.where(part.counts, part.voxels, lowest)
    pad = [(0, 0)] * (known.ndim - 2) + [(1, 1), (1, 1)]
    wide = np.pad(known, pad, constant_values=lowest)
    sides = np.maximum(wide[..., :-2], wide[..., 2:])
    rows = np.maximum(sides, wide[..., 1:-1])
    around = np.maximum(rows[..., :-2, :], rows[..., 2:, :])
    np.maximum(around, sides[..., 1:-1, :], out=around)
    least: np.ndarray = np.minimum(part.voxels, around)
    return least


def _without_outliers(parts: Sequence[Part], low: float) -> list[tuple[list[Part], float]]:
    """What may be left without outliers, and by which factor the end must move for it."""
    tops = [by_cell(np.maximum, part.filled(-np.inf)) for part in parts]
    bottoms = [by_cell(np.minimum, part.filled(np.inf)) for part in parts]
    least = _CONTRAST * _noise(parts)
    held = [top - bottom > least for top, bottom in zip(tops, bottoms)]
    lively = np.sort(np.concatenate([top[h] for top, h in zip(tops, held)]))
    found = []
    limit = _below_plateau(parts, low, max(float(top.max()) for top in tops))
    if limit is not None and _enough(lively <= limit):
        found.append((_without_cells(parts, tops, limit), _MOVED))
    for factor, share in _HOT_AREAS:
        if _enough(lively):
            limit = float(lively[-1 - int(share * lively.size)])
            found.append((_without_cells(parts, tops, limit), factor))
    return found


def _enough(cells: np.ndarray) -> bool:
    """Whether so many cells with contrast are left that the end lies among objects."""
    return int(np.count_nonzero(cells)) >= _LEAST_CELLS


def _below_plateau(parts: Sequence[Part], low: float, greatest: float) -> float | None:
    """A value that only the voxels of a plateau exceed; None where there is no plateau."""
    span = greatest - low
    bright = np.concatenate([part.chosen()[part.chosen() > low + 0.4 * span] for part in parts])
    few, many = (share * sum(part.size for part in parts) for share in _PLATEAU_SHARE)
    # One value exactly, as of saturated voxels; or values close to one another, above a gap.
    for limit, below in ((_just_below(greatest), 0.8), (low + 0.8 * span, 0.4)):
        at_top = int(np.count_nonzero(bright > limit))
        beside = int(np.count_nonzero(bright > low + below * span)) - at_top
        if few <= at_top <= many and at_top >= _PLATEAU_TIMES * beside:
            return float(limit)
    return None


def _just_below(value: float) -> float:
    """The next smaller number that float32, the voxels' type, holds."""
    return float(np.nextafter(np.float32(value), np.float32(-np.inf)))


def _without_cells(parts: Sequence[Part], tops: Sequence[np.ndarray], limit: float) -> list[Part]:
    """The parts without the cells with a voxel above a limit."""
    rest = []
    for part, top in zip(parts, tops):
        below = ~on_voxels(top > limit, part.voxels.shape)
        rest.append(Part(part.voxels, below if part.counts is None else below & part.counts))
    return rest


def _noise(parts: Sequence[Part]) -> float:
    """Standard deviation of the noise, from the differences of neighbours along x.

    At least a part of a step between two grey values, which hides weaker noise.
    """
    steps = []
    for part in parts:
        step = np.abs(np.diff(part.voxels, axis=-1))
        if part.counts is not None:
            step = step[part.counts[..., 1:] & part.counts[..., :-1]]
        steps.append(step.ravel()[:: 1 + step.size // _MOST_STEPS])
    every = np.concatenate(steps)
    if not every.size:
        return 0.0
    smallest = float(every[every > 0].min(initial=np.inf))
    rounding = smallest / 2 if np.isfinite(smallest) else 0.0
    return max(float(np.median(every)) / 0.6745 / math.sqrt(2), rounding)
