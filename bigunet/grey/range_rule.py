"""The rule that turns grey values into a range: which voxels count, and where the range ends.

The rule takes arrays of one channel and returns numbers. ``bigunet.io`` reads the arrays, and the
model uses the range.

Percentiles of all voxels fail in two cases: most voxels carry no information (an empty background,
or a value that stands for "no data"), or a few voxels are far brighter than the rest. So the rule
cuts each plane into cells, and looks at the values of each cell::

    0 0 0 0 | 0 0 0 3        left cell:  one single value, no information; it is left out
    0 0 0 0 | 0 2 9 8        right cell: an object on its background; it counts
    0 0 0 0 | 0 1 7 9

References
----------
Percentiles 1 and 99.8: Weigert et al. 2018, doi:10.1038/s41592-018-0216-7; Schmidt et al. 2018,
doi:10.1007/978-3-030-00934-2_30. Leaving out an empty background: Isensee et al. 2021,
doi:10.1038/s41592-020-01008-z.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bigunet.grey.cells import Piece
from bigunet.grey.contrast import away_from, by_contrast, holds_weak_objects, noise
from bigunet.grey.outliers import upper_end
from bigunet.grey.padding import without_padding
from bigunet.grey.quantiles import check_quantiles, quantiles_of

# Percentiles below 3 % or above 97 % may lie among outliers.
_OUTER = 3.0
# In Gaussian noise, percentiles 1 and 99.8 are 5.2 deviations apart.
_NOISE_SPAN = 10.0
# Outliers are looked for only if the range is longer, by this factor, than the range whose end is
# 3 % further inside; otherwise no rule of ``outliers`` would move the end.
_NEAR = 1.2
# Beyond these numbers, differences and multiples of differences may be too great for float64.
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
        Share of the voxels, 0 to 1, that do not count: cells of one value, and padding.
    outliers : bool
        Whether a plain percentile would lie among outliers, so that they were left out.
    least, greatest : int or float or None
        The least and the greatest value that is no outlier; None if there are no outliers at that
        end. A network should see no value beyond, because an outlier spoils the result within a
        halo around it.
    padding : tuple of int or float
        Values that stand for "no data". A network should see the lower end of the range in their
        place.
    others : tuple of int or float
        The values at the further quantiles that the caller asked for.
    """

    values: tuple[float, ...]
    left_out: float = 0.0
    outliers: bool = False
    least: float | None = None
    greatest: float | None = None
    padding: tuple[float, ...] = ()
    others: tuple[float, ...] = ()


def grey_values(
    pieces: Sequence[np.ndarray],
    quantiles: Sequence[float],
    *,
    masks: Sequence[np.ndarray | None] = (),
    others: Sequence[float] = (),
    specks: bool = True,
) -> GreyValues | None:
    """Percentiles of the voxels that count.

    Parameters
    ----------
    pieces : sequence of ndarray, each (*space)
        Pieces of one channel. The last two axes are y and x. Any integer, floating-point or
        boolean dtype, the same in all pieces. Values that are not finite do not count.
    quantiles : sequence of float
        In percent, 0 to 100.
    masks : sequence of (ndarray of bool, or None), optional
        True for the voxels of each piece that the user asks for; None for all voxels.
    others : sequence of float, optional
        Further quantiles of the same voxels; outliers do not move them.
    specks : bool, optional
        Whether single bright voxels may be outliers. If the level is coarser than the level that
        a network sees, a single voxel may be an object.

    Returns
    -------
    GreyValues or None
        The values are ``np.percentile(voxels, quantiles, method="inverted_cdf")`` of the voxels
        that count. None if no voxel is both finite and in its mask.

    Raises
    ------
    OptionError
        If a quantile is not in 0 to 100.

    Notes
    -----
    1. Cells of 16 × 16 voxels of a plane that hold one single value are left out.
    2. The value of such cells is padding, and is left out everywhere, if it lies beyond all other
       values by more than half of their range, and most of the other voxels lie in cells without
       it. An example is a strip of "no data" beside an image. The value is padding as well if it
       is the only one below 0 and lies three ranges below the others. Otherwise it is the
       background of objects, and it counts in the cells of these objects.
    3. If the outermost quantiles lie within the noise, cells that hold only noise are left out,
       provided that other cells remain. So the contrast of an image with one small object is that
       of the object. The rule is not used if the cells to leave out hold weak objects, which the
       means of these cells show.
    4. The first quantile (if it is below 3 %) and the last (if above 97 %) are moved inwards if
       they lie far beyond the values that remain without outliers. ``bigunet.grey.outliers`` says
       which voxels are outliers.
    5. If rule 1 leaves out everything, all voxels count.

    Examples
    --------
    >>> image = np.zeros((64, 64), np.uint8)
    >>> image[20:28, 20:28] = np.arange(64).reshape(8, 8) + 100
    >>> grey_values([image], (1, 99.8)).values
    (0, 163)
    """
    check_quantiles((*quantiles, *others))
    given = masks or [None] * len(pieces)
    every = [piece for piece in map(Piece.of, pieces, given) if piece.size]
    if not every:
        return None
    if _are_huge(every):
        return _of_smaller(pieces, quantiles, given, others, specks)
    kept, padding = without_padding(every)
    values = quantiles_of(kept, quantiles)
    clear = _beyond_noise(kept, quantiles, values)
    beside = quantiles_of(kept, others)
    if clear:
        kept = clear
        values = quantiles_of(kept, quantiles)
    total = sum(piece.size for piece in every)
    left_out = round(1 - sum(piece.size for piece in kept) / total, 6)
    plain = GreyValues(values, left_out, padding=tuple(padding), others=beside)
    return _without_outliers(kept, quantiles, plain, specks=specks)


def _are_huge(every: Sequence[Piece]) -> bool:
    """Whether differences of the voxels may be too great for float64."""
    return every[0].voxels.dtype == np.float64 and any(
        max(-piece.voxels.min(), piece.voxels.max()) > _HUGE for piece in every
    )


def _of_smaller(
    pieces: Sequence[np.ndarray],
    quantiles: Sequence[float],
    masks: Sequence[np.ndarray | None],
    others: Sequence[float],
    specks: bool,
) -> GreyValues | None:
    """Apply the rule to voxels that are divided by a power of two, and multiply the result."""
    smaller = [piece * _SMALLER for piece in pieces]
    grey = grey_values(smaller, quantiles, masks=masks, others=others, specks=specks)
    if grey is None:
        return None
    return replace(
        grey,
        values=tuple(value / _SMALLER for value in grey.values),
        least=None if grey.least is None else grey.least / _SMALLER,
        greatest=None if grey.greatest is None else grey.greatest / _SMALLER,
        padding=tuple(value / _SMALLER for value in grey.padding),
        others=tuple(value / _SMALLER for value in grey.others),
    )


def _beyond_noise(
    kept: Sequence[Piece], quantiles: Sequence[float], values: Sequence[Any]
) -> list[Piece]:
    """The pieces with only the cells of contrast, if the range lies within the noise; else none."""
    outer = [q for q in quantiles if not _OUTER <= q <= 100 - _OUTER]
    if len(outer) < 2:
        return []
    start, span = min(values), max(values) - min(values)
    strength = noise(kept, start)
    if span >= _NOISE_SPAN * strength:
        return []
    clear, rest = by_contrast(kept, start, _NOISE_SPAN * strength)
    return [] if holds_weak_objects(rest, start, strength) else clear


def _without_outliers(
    kept: Sequence[Piece], quantiles: Sequence[float], plain: GreyValues, *, specks: bool
) -> GreyValues:
    """The values; the least and the greatest are moved inwards if they lie among outliers."""
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
    # A value beyond an end that moved inwards becomes that end.
    moved = tuple(min(max(value, values[first]), values[last]) for value in values)
    return replace(
        plain, values=moved, outliers=moved != plain.values, least=least, greatest=greatest
    )


def _moved(
    kept: Sequence[Piece], quantile: float, start: Any, end: Any, *, sign: int, specks: bool
) -> tuple[Any, Any] | None:
    """The moved end of the range, and the last value that is no outlier; None without outliers.

    ``sign`` is 1 for the upper end and -1 for the lower end; ``end`` is that end before it is
    moved, and ``start`` is the opposite end.
    """
    (inner,) = quantiles_of(kept, (quantile - sign * _OUTER,))
    if not sign * (end - start) > _NEAR * sign * (inner - start):
        return None
    # Differences may fit float32 even if the values do not.
    away = [Piece(sign * away_from(piece.voxels, start), piece.counts) for piece in kept]
    upper = quantile if sign > 0 else 100 - quantile
    inside = upper_end(
        away, 0.0, lambda pieces, q: float(quantiles_of(pieces, (q,))[0]), upper, specks=specks
    )
    if inside.greatest is None:
        return None
    whole = isinstance(start, int)
    value, last = (round(v) if whole else v for v in (inside.value, inside.greatest))
    return start + sign * value, start + sign * last
