"""The contrast of a cell, which is its greatest less its least value, and the noise of an image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bigunet.grey.cells import Piece, by_cell, on_voxels
from bigunet.grey.exact_differences import subtract

# The noise is estimated from about this many voxels of each piece.
_MOST_VOXELS = 2**18
# Means are taken over squares with this side, in voxels.
_MEAN = 4
# Numbers in this range, and multiples and fractions of them, fit float32.
_FLOAT32 = (1e-25, 1e30)


@dataclass(frozen=True, slots=True)
class Cells:
    """Greatest and least value of the voxels that count, for each cell of each piece."""

    highest: list[np.ndarray]
    lowest: list[np.ndarray]

    @classmethod
    def of(cls, pieces: Sequence[Piece]) -> Cells:
        """Take the values of the cells of pieces, which hold floating-point voxels."""
        return cls(
            [by_cell(np.maximum, piece.filled(-np.inf)) for piece in pieces],
            [by_cell(np.minimum, piece.filled(np.inf)) for piece in pieces],
        )

    def beyond(self, contrast: float) -> list[np.ndarray]:
        """Whether each cell has more contrast than this."""
        return [high - low > contrast for high, low in zip(self.highest, self.lowest)]


def away_from(voxels: np.ndarray, start: float) -> np.ndarray:
    """Subtract a value from the voxels; integers are subtracted as integers.

    The result is float32, which needs half the memory, if float32 holds the differences as well as
    multiples and fractions of them. Otherwise it is float64.
    """
    away = subtract(voxels, start)
    furthest = max(-float(away.min(initial=0)), float(away.max(initial=0)))
    fits = furthest == 0 or _FLOAT32[0] < furthest < _FLOAT32[1]
    return away.astype(np.float32) if fits else away


def noise(pieces: Sequence[Piece], start: float = 0.0) -> float:
    """Standard deviation of the noise, estimated from the differences of neighbours along x.

    The result is at least half of the smallest step between two grey values, because that step
    hides weaker noise.

    Parameters
    ----------
    pieces : sequence of Piece
    start : int or float
        A grey value of the image. Differences from it are small, even if the grey values are large
        integers.
    """
    steps = []
    for piece in pieces:
        width = piece.voxels.shape[-1]
        # Rows are taken from all over the planes, so that no single row of each plane decides.
        chosen = slice(None, None, 1 + piece.voxels.size // _MOST_VOXELS)
        rows = piece.voxels.reshape(-1, width)[chosen]
        step = np.abs(np.diff(subtract(rows, start), axis=-1))
        counts = None if piece.counts is None else piece.counts.reshape(-1, width)[chosen]
        steps += [
            row if counts is None else row[counts[k, 1:] & counts[k, :-1]]
            # A row of one value is the edge of a registered image, not an image without noise.
            for k, row in enumerate(step)
            if row.any()
        ]
    every = np.concatenate(steps) if steps else np.empty(0)
    if not every.size:
        return 0.0
    smallest = float(every[every > 0].min(initial=np.inf))
    rounding = smallest / 2 if np.isfinite(smallest) else 0.0
    return max(float(np.median(every)) / 0.6745 / math.sqrt(2), rounding)


def by_contrast(
    pieces: Sequence[Piece], start: float, contrast: float
) -> tuple[list[Piece], list[Piece]]:
    """The pieces with the cells of more contrast than this, and the pieces with all other cells.

    Specks add no contrast.
    """
    away = [Piece(away_from(piece.voxels, start), piece.counts) for piece in pieces]
    for sign in (-1, 1):
        away = [without_specks(Piece(sign * piece.voxels, piece.counts)) for piece in away]
        away = [Piece(sign * piece.voxels, piece.counts) for piece in away]
    held = Cells.of(away).beyond(contrast)
    clear, rest = only_cells(pieces, held), only_cells(pieces, [~cells for cells in held])
    return [p for p in clear if p.size], [p for p in rest if p.size]


def holds_weak_objects(pieces: Sequence[Piece], start: float, strength: float) -> bool:
    """Whether means over 4 × 4 voxels differ by more than the means of noise alone."""
    means = []
    for piece in pieces:
        ny, nx = (n // _MEAN * _MEAN for n in piece.voxels.shape[-2:])
        away = away_from(piece.voxels[..., :ny, :nx], start)
        blocks = (*away.shape[:-2], ny // _MEAN, _MEAN, nx // _MEAN, _MEAN)
        mean = away.reshape(blocks).mean(axis=(-3, -1))
        if piece.counts is None:
            means.append(mean.ravel())
        else:
            means.append(mean[piece.counts[..., :ny, :nx].reshape(blocks).all(axis=(-3, -1))])
    every = np.concatenate(means) if means else np.empty(0)
    if every.size < 2:
        return False
    low, high = np.percentile(every, (1, 99))
    # In Gaussian noise, percentiles 1 and 99 of the means are 4.7 deviations of a mean apart. The
    # deviation of a mean of 16 voxels is a quarter of the deviation of one voxel.
    return bool(high - low > 2 * 4.7 * strength / _MEAN)


def without_specks(piece: Piece) -> Piece:
    """Lower each voxel to the greatest of its eight neighbours in the plane, if it is above it."""
    lowest = piece.voxels.min()
    known = piece.filled(lowest)
    pad = [(0, 0)] * (known.ndim - 2) + [(1, 1), (1, 1)]
    wide = np.pad(known, pad, constant_values=lowest)
    sides = np.maximum(wide[..., :-2], wide[..., 2:])
    rows = np.maximum(sides, wide[..., 1:-1])
    around = np.maximum(rows[..., :-2, :], rows[..., 2:, :])
    np.maximum(around, sides[..., 1:-1, :], out=around)
    return Piece(np.minimum(piece.voxels, around), piece.counts)


def only_cells(pieces: Sequence[Piece], kept: Sequence[np.ndarray]) -> list[Piece]:
    """The same pieces, in which only voxels of these cells count."""
    rest = []
    for piece, cells in zip(pieces, kept):
        inside = on_voxels(cells, piece.voxels.shape)
        rest.append(Piece(piece.voxels, inside if piece.counts is None else inside & piece.counts))
    return rest
