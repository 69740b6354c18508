"""Measurements with cubic tiles: how far a voxel acts, the stride, and the receptive field."""

from __future__ import annotations

import numpy as np
import torch

from bigunet.geometry import round_up
from bigunet.model.probing.trial import MAX_STRIDE, Trial, equal
from bigunet.receptive import ReceptiveField


def best_size(test: Trial, smallest: int) -> int | None:
    """The accepted size from ``smallest`` on that loses the fewest voxels; None if there is none.

    Sizes at which poolings round down lose more.
    """
    losses = test.losses(smallest)
    return min(losses, key=lambda size: (losses[size], size), default=None)


def hits(test: Trial, size: int, at: int) -> np.ndarray | None:
    """Which scores depend on the voxel ``at`` of the diagonal; None if the tile is refused.

    Returns
    -------
    ndarray of bool, (*space), or None
    """
    if (size, at) not in test.known_hits:
        scores = test.run(test.poisoned(size, at))
        hit = None if scores is None else torch.isnan(scores).any(dim=1)[0].numpy()
        test.known_hits[size, at] = hit
    return test.known_hits[size, at]


def reach(test: Trial, size: int, *, phases: int) -> int | None:
    """How many voxels far a voxel acts on either side, at most over so many phases.

    None if the tile is refused, or if a voxel acts up to the border of the tile.
    """
    furthest = 0
    for phase in range(phases):
        at = size // 2 + phase
        hit = hits(test, size, at)
        if hit is None:
            return None
        border = (size - hit.shape[-1]) // 2
        for axis in range(test.ndim):
            others = tuple(a for a in range(test.ndim) if a != axis)
            where = np.nonzero(hit.any(axis=others))[0] + border
            if where.size == 0:
                continue
            if where[0] == border or where[-1] == size - border - 1:
                return None
            furthest = max(furthest, at - int(where[0]), int(where[-1]) - at)
    return furthest


def measured_stride(test: Trial, size: int) -> int | None:
    """The smallest shift with which the module commutes away from the tile's border."""
    for shift in range(1, MAX_STRIDE + 1):
        if _commutes(test, size, shift):
            return shift
    return None


def _commutes(test: Trial, size: int, shift: int) -> bool:
    """Whether a shift of the tile moves the scores in its middle, and changes nothing else."""
    center = size // 2
    before, after = hits(test, size, center), hits(test, size, center + shift)
    if before is None or after is None:
        return False
    if not np.array_equal(after, np.roll(before, (shift,) * test.ndim, range(test.ndim))):
        return False
    # The reach does not show a coarse grid behind finer layers. Values do, unless all are equal.
    larger = test.noise(size + shift)
    here = test.run(test.cut(larger, 0, size))
    there = test.run(test.cut(larger, shift, size + shift))
    if here is None or there is None:
        return False
    middle = here.shape[-1] // 2
    # As wide as one period, so that a wrong stride cannot pass by luck; and as narrow as padding
    # allows.
    half = max(shift, here.shape[-1] // 16)
    start, stop = middle, min(middle + half, here.shape[-1])
    if start < shift:
        return False
    return equal(test.cut(here, start, stop), test.cut(there, start - shift, stop - shift))


def field_of_scores(
    test: Trial, size: int, *, stride: int, furthest: int
) -> tuple[ReceptiveField, int]:
    """Receptive field and number of scores.

    Parameters
    ----------
    size : int
        Size of a tile that the module accepts.
    furthest : int
        How many voxels far a voxel acts, as :func:`reach` measures it.
    """
    scores = test.run(test.noise(size))
    assert scores is not None
    border = (size - scores.shape[-1]) // 2
    if border and _is_valid(test, size, stride):
        halo = border
    else:
        halo = round_up(max(furthest, border), stride)
    values = (stride, border, halo, size % stride)
    return ReceptiveField(*((v,) * test.ndim for v in values)), int(scores.shape[1])


def _is_valid(test: Trial, size: int, stride: int) -> bool:
    """Whether nothing is padded: even at the rim, scores of a tile are those of a larger tile."""
    larger = test.noise(size + 2 * stride)
    around = test.run(larger)
    scores = test.run(test.cut(larger, stride, stride + size))
    if scores is None or around is None:
        return False
    return equal(scores, test.cut(around, stride, stride + scores.shape[-1]))
