"""Padding: a value that stands for "no data", such as that of a strip beside an image.

It is known by its cells, which hold one single value: see the rules 1, 2 and 5 of
:func:`bigunet.grey.range_rule.grey_values`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bigunet.grey.cells import Piece
from bigunet.grey.quantiles import quantiles_of

_MOST_CONSTANTS = 4
# A smaller share of the voxels moves no percentile that models use.
_LEAST_SHARE = 0.001
# Padding lies beyond all other values by more than these multiples of their range. The second
# holds for a negative value where all others are 0 or above.
_FAR = 0.5
_SENTINEL = 3.0


def without_padding(every: Sequence[Piece]) -> tuple[list[Piece], list[Any]]:
    """Leave out the cells of one value and the padding.

    Parameters
    ----------
    every : sequence of Piece

    Returns
    -------
    kept : list of Piece
        The pieces in which only the remaining voxels count; all pieces as they were if no voxel
        would remain.
    padding : list of int or float
        The values that are padding.
    """
    lively = [piece.without_flat_cells() for piece in every]
    kept = [piece for piece in lively if piece.size]
    if not kept:
        return list(every), []
    padding = []
    for value in _constants(every, lively):
        if _is_padding(kept, value):
            padding.append(value)
            kept = [less for piece in kept if (less := piece.without(value)).size]
    return kept, padding


def _constants(every: Sequence[Piece], lively: Sequence[Piece]) -> list[Any]:
    """The values of the cells of one single value, the most frequent value first."""
    counts: dict[Any, int] = {}
    for before, after in zip(every, lively):
        if after.counts is None or after is before:
            continue
        left_out = ~after.counts if before.counts is None else before.counts & ~after.counts
        values, times = np.unique(before.voxels[left_out], return_counts=True)
        for value, number in zip(values.tolist(), times.tolist()):
            counts[value] = counts.get(value, 0) + number
    least = _LEAST_SHARE * sum(piece.size for piece in every)
    frequent = [value for value, number in counts.items() if number >= least]
    return sorted(frequent, key=lambda value: (-counts[value], value))[:_MOST_CONSTANTS]


def _is_padding(kept: Sequence[Piece], value: Any) -> bool:
    """Whether a value stands for "no data", and not for the background of objects."""
    others = [other for piece in kept if (other := piece.without(value)).size]
    num_others = sum(piece.size for piece in others)
    if not num_others:
        return False
    dark, bright = quantiles_of(others, (1.0, 99.8))
    gap, span = max(dark - value, value - bright), bright - dark
    # A detector gives no values below 0.
    if value < 0 and gap > _SENTINEL * span and min(piece.chosen().min() for piece in others) >= 0:
        return True
    if not gap > _FAR * span:
        return False
    apart = sum(int(np.count_nonzero(piece.clear_of(value))) for piece in kept)
    return 2 * apart > num_others
