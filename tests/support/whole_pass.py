"""The reference for tiled results: one pass over the mirrored whole image."""

from __future__ import annotations

import numpy as np
import torch

from bigunet.model.model import Model


def mirrored(image: np.ndarray, before: tuple[int, ...], after: tuple[int, ...]) -> np.ndarray:
    """An image (channel, *space) mirrored by numpy; an axis of one voxel is repeated."""
    for axis, (a, b) in enumerate(zip(before, after), start=1):
        widths = [(0, 0)] * image.ndim
        widths[axis] = (a, b)
        image = np.pad(image, widths, mode="reflect" if image.shape[axis] > 1 else "edge")
    return image


def whole_scores(model: Model, image: np.ndarray, low: float, high: float) -> torch.Tensor:
    """Scores (class, *space) of one pass over an image (channel, *space)."""
    field = model.receptive_field
    space = image.shape[1:]
    size = field.input_shape(space)
    after = tuple(n - s - h for n, s, h in zip(size, space, field.halo))
    padded = mirrored(image, field.halo, after).astype(np.float32)
    with torch.inference_mode():
        tensor = torch.from_numpy((padded - low) / (high - low))[None]
        scores = model.module(tensor)[0]
    inner = [slice(h - b, h - b + s) for h, b, s in zip(field.halo, field.border, space)]
    return scores[(slice(None), *inner)]


def wrong_labels(labels: np.ndarray, scores: torch.Tensor, tolerance: float = 1e-4) -> int:
    """Number of voxels with a wrong label; voxels with nearly equal best scores do not count."""
    best = scores.topk(2, dim=0).values
    firm = (best[0] - best[1]) > tolerance * scores.std()
    unequal = torch.from_numpy(labels.astype(np.int64)) != scores.argmax(dim=0)
    return int((unequal & firm).sum())
