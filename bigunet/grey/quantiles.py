"""Quantiles of the voxels that count, as numpy's ``inverted_cdf``: each is a grey value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from bigunet.errors import OptionError
from bigunet.grey.cells import Piece


def check_quantiles(quantiles: Sequence[float]) -> None:
    """Raise an OptionError unless all quantiles are percentages from 0 to 100."""
    if not all(0 <= q <= 100 for q in quantiles):
        raise OptionError(f"quantiles {tuple(quantiles)} are not all percentages from 0 to 100")


def quantiles_of(pieces: Sequence[Piece], quantiles: Sequence[float]) -> tuple[Any, ...]:
    """The grey value at each quantile, of the voxels that count in all pieces together.

    Parameters
    ----------
    pieces : sequence of Piece
    quantiles : sequence of float
        In percent, 0 to 100.

    Returns
    -------
    tuple of int or float
        Integers where the voxels are integers.
    """
    values = np.concatenate([piece.chosen() for piece in pieces])
    ranks = _ranks(values.size, quantiles)
    return tuple(np.partition(values, ranks)[ranks].tolist()) if ranks.size else ()


def _ranks(size: int, quantiles: Sequence[float]) -> np.ndarray:
    """The index of each quantile in ``size`` sorted values, step by step as numpy computes it."""
    return np.array([max(0, math.ceil(size * (q / 100) - 1)) for q in quantiles], np.intp)
