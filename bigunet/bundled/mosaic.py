"""A large image of the bundled fields of nuclei, sewn together where no nucleus is cut."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

# Voxels that neighbours share: three nuclei wide, so that a path leads around each of them.
_OVERLAP = 96
# Standard deviation of the cross-fade along a seam, in voxels; gaps between nuclei are wider.
_FADE = 4


def bundled_fields() -> list[np.ndarray]:
    """The images of nuclei that come with bigunet, each (y, x) uint8."""
    folder = Path(str(resources.files("bigunet.bundled") / "nuclei-fields"))
    return [np.asarray(Image.open(path).convert("L")) for path in sorted(folder.glob("*.png"))]


def mosaic(fields: list[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """A canvas of some shape, sewn of fields in random order, the same in every call.

    Each field is turned by 180° or mirrored at random. It overlaps the fields above it and on its
    left. A seam runs through the overlap where both are darkest, and along the seam the fields fade
    into each other. All other voxels are those of a field.

    Parameters
    ----------
    fields : list of ndarray, (y, x) uint8
        At least four, of equal shape.
    shape : (int, int)
        Shape of the canvas, y and x.

    References
    ----------
    Efros and Freeman 2001, Image quilting for texture synthesis and transfer.
    """
    chooser = np.random.default_rng(0)
    rows, columns = fields[0].shape
    canvas = np.zeros(shape, np.float32)
    chosen: dict[tuple[int, int], int] = {}
    for i, top in enumerate(range(0, shape[0], rows - _OVERLAP)):
        for j, left in enumerate(range(0, shape[1], columns - _OVERLAP)):
            near = {chosen.get(place) for place in ((i - 1, j - 1), (i - 1, j), (i, j - 1))}
            chosen[i, j] = chooser.choice([k for k in range(len(fields)) if k not in near])
            field = fields[chosen[i, j]][:: chooser.choice((-1, 1)), :: chooser.choice((-1, 1))]
            space = canvas[top : top + rows, left : left + columns]
            field = field[: space.shape[0], : space.shape[1]].astype(np.float32)
            space += (field - space) * _weights(space, field, above=i > 0, beside=j > 0)
    return canvas.round().astype(np.uint8)


def _weights(
    space: np.ndarray, field: np.ndarray, *, above: bool, beside: bool
) -> np.ndarray:  # (y, x)
    """How much of a new field each voxel takes: 1 beyond the seams, 0 before them."""
    kept = np.ones(space.shape, bool)
    overlap = np.zeros(space.shape, bool)
    cost = (space + field) ** 2
    if beside:
        columns = np.s_[:, :_OVERLAP]
        kept[columns] &= np.arange(kept[columns].shape[1]) >= seam(cost[columns])[:, None]
        overlap[columns] = True
    if above:
        rows = np.s_[:_OVERLAP]
        kept[rows] &= np.arange(kept[rows].shape[0])[:, None] >= seam(cost[rows].T)
        overlap[rows] = True
    faded = gaussian_filter(kept.astype(np.float32), _FADE, mode="nearest")
    return np.where(overlap, faded, 1)


def seam(cost: np.ndarray) -> np.ndarray:
    """The column in each row of the cheapest path from the first row to the last.

    From row to row the path moves by one column at most.

    >>> seam(np.array([[9, 1, 9], [9, 9, 1], [9, 1, 9]]))
    array([1, 2, 1])
    """
    best = cost.astype(np.float64)
    moves = np.zeros(cost.shape, np.int64)
    for row in range(1, len(best)):
        before = np.pad(best[row - 1], 1, constant_values=np.inf)
        ways = np.stack([before[:-2], before[1:-1], before[2:]])
        moves[row] = ways.argmin(axis=0) - 1
        best[row] += ways.min(axis=0)
    path = np.empty(len(best), np.int64)
    path[-1] = best[-1].argmin()
    for row in range(len(best) - 1, 0, -1):
        path[row - 1] = path[row] + moves[row, path[row]]
    return path
