"""Averages the scores of overlapping tiles with Gaussian weights.

Each voxel adds up the same tiles in the same order in any block, so that no byte depends on blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor

from bigunet.blend_tiling import BlendTiling, blend_weights
from bigunet.geometry import Box
from bigunet.model.inference.forward import Prediction
from bigunet.model.inference.score_maps import labels_of, shares_as_bytes
from bigunet.options.choices import ScoreKind
from bigunet.segmentation.run.block_values import Values, fill_in
from bigunet.tiling import Tile


def blended_scores(
    box: Box,
    tiling: BlendTiling,
    tiles: Iterable[Tile],
    scores_of: Callable[[Tile], Tensor],
) -> Tensor:
    """Averaged scores of a box, (score, *box.shape), float32, on the CPU.

    Parameters
    ----------
    box : Box
    tiling : BlendTiling
    tiles : iterable of Tile
        Tiles of the box in the order of the tiling. A voxel that not all of its tiles reach is
        wrong, and one that none reaches is 0.
    scores_of : callable
        Gives the scores of a tile, (score, *space), where space are the axes of the network.
    """
    weights = blend_weights(tiling.scores_shape)
    total = np.zeros(box.shape, np.float32)
    sums: np.ndarray | None = None
    for tile in tiles:
        scores = scores_of(tile).float().cpu().numpy()
        scores = scores.reshape(len(scores), *tile.scores.shape)
        if sums is None:
            sums = np.zeros((len(scores), *box.shape), np.float32)
        here, there = tile.output.within(box), tile.output.within(tile.scores)
        # One multiplication and one addition: a fused operation would round differently.
        sums[(slice(None), *here)] += scores[(slice(None), *there)] * weights[there]
        total[here] += weights[there]
    assert sums is not None
    return torch.from_numpy(sums / np.where(total > 0, total, 1))


def fill_in_scores(values: Values, box: Box, scores: Tensor, kind: ScoreKind) -> None:
    """Fill a block with the labels of averaged scores, and with their probabilities if asked."""
    wanted = "probabilities" in values
    shares = shares_as_bytes(scores, kind).numpy() if wanted else None
    fill_in(values, Tile(box, box, box), box, Prediction(labels_of(scores).numpy(), shares))
