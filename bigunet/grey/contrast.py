"""How far the voxels of a cell lie apart, and how strong the noise is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bigunet.grey.cells import Part, by_cell, on_voxels
from bigunet.grey.exact_differences import subtract

# Of each part, voxels that the noise is estimated from.
_MOST_VOXELS = 2**18
# Voxels along y and x of which a mean is taken.
_MEAN = 4
# Far from where float32 ends.
_FLOAT32 = (1e-25, 1e30)


@dataclass(frozen=True, slots=True)
class Cells:
    """Greatest and least value of each cell, for each part; of voxels that count."""

    highest: list[np.ndarray]
    lowest: list[np.ndarray]

    @classmethod
    def of(cls, parts: Sequence[Part]) -> Cells:
        """Of parts of floating-point voxels."""
        return cls(
            [by_cell(np.maximum, part.filled(-np.inf)) for part in parts],
            [by_cell(np.minimum, part.filled(np.inf)) for part in parts],
        )

    def beyond(self, contrast: float) -> list[np.ndarray]:
        """Whether each cell holds more contrast than this."""
        return [high - low > contrast for high, low in zip(self.highest, self.lowest)]


def away_from(voxels: np.ndarray, start: float) -> np.ndarray:
    """Voxels less a value; subtracted as integers where they are integers.

    As float32, which is half as large, where it holds them, and multiples and parts of them.
    """
    away = subtract(voxels, start)
    furthest = max(-float(away.min(initial=0)), float(away.max(initial=0)))
    fits = furthest == 0 or _FLOAT32[0] < furthest < _FLOAT32[1]
    return away.astype(np.float32) if fits else away


def noise(parts: Sequence[Part], start: float = 0.0) -> float:
    """Standard deviation of the noise, from the differences of neighbours along x.

    At least a half of the smallest step between two grey values, which hides weaker noise.

    Parameters
    ----------
    parts : sequence of Part
    start : int or float
        A grey value of the image: differences to it are small, even if integers are not.
    """
    steps = []
    for part in parts:
        width = part.voxels.shape[-1]
        # Rows of all planes alike, so that no row of each plane decides alone.
        chosen = slice(None, None, 1 + part.voxels.size // _MOST_VOXELS)
        rows = part.voxels.reshape(-1, width)[chosen]
        step = np.abs(np.diff(subtract(rows, start), axis=-1))
        counts = None if part.counts is None else part.counts.reshape(-1, width)[chosen]
        steps += [
            row if counts is None else row[counts[k, 1:] & counts[k, :-1]]
            # A row of one value is an edge that a registration left, not an image without noise.
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
    parts: Sequence[Part], start: float, contrast: float
) -> tuple[list[Part], list[Part]]:
    """The voxels of cells with more contrast than this, specks not counted, and all others."""
    away = [Part(away_from(part.voxels, start), part.counts) for part in parts]
    for sign in (-1, 1):
        away = [without_specks(Part(sign * part.voxels, part.counts)) for part in away]
        away = [Part(sign * part.voxels, part.counts) for part in away]
    held = Cells.of(away).beyond(contrast)
    clear, rest = only_cells(parts, held), only_cells(parts, [~cells for cells in held])
    return [p for p in clear if p.size], [p for p in rest if p.size]


def holds_weak_objects(parts: Sequence[Part], start: float, strength: float) -> bool:
    """Whether means over 4 × 4 voxels differ by more than means of noise do."""
    means = []
    for part in parts:
        ny, nx = (n // _MEAN * _MEAN for n in part.voxels.shape[-2:])
        away = away_from(part.voxels[..., :ny, :nx], start)
        blocks = (*away.shape[:-2], ny // _MEAN, _MEAN, nx // _MEAN, _MEAN)
        mean = away.reshape(blocks).mean(axis=(-3, -1))
        if part.counts is None:
            means.append(mean.ravel())
        else:
            means.append(mean[part.counts[..., :ny, :nx].reshape(blocks).all(axis=(-3, -1))])
    every = np.concatenate(means) if means else np.empty(0)
    if every.size < 2:
        return False
    low, high = np.percentile(every, (1, 99))
    # Of the means of Gaussian noise, 4.7 deviations, each a quarter of that of one voxel.
    return bool(high - low > 2 * 4.7 * strength / _MEAN)


def without_specks(part: Part) -> Part:
    """Each voxel, no greater than the greatest of its eight neighbours in the plane."""
    lowest = part.voxels.min()
    known = part.filled(lowest)
    pad = [(0, 0)] * (known.ndim - 2) + [(1, 1), (1, 1)]
    wide = np.pad(known, pad, constant_values=lowest)
    sides = np.maximum(wide[..., :-2], wide[..., 2:])
    rows = np.maximum(sides, wide[..., 1:-1])
    around = np.maximum(rows[..., :-2, :], rows[..., 2:, :])
    np.maximum(around, sides[..., 1:-1, :], out=around)
    return Part(np.minimum(part.voxels, around), part.counts)


def only_cells(parts: Sequence[Part], kept: Sequence[np.ndarray]) -> list[Part]:
    """The parts with nothing but these cells."""
    rest = []
    for part, cells in zip(parts, kept):
        inside = on_voxels(cells, part.voxels.shape)
        rest.append(Part(part.voxels, inside if part.counts is None else inside & part.counts))
    return rest
