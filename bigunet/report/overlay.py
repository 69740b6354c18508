"""A picture of a segmentation: the image, with its classes drawn over it in their colours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

Color = tuple[int, int, int]


def overlay(grey: np.ndarray, labels: np.ndarray, colors: Sequence[Color]) -> np.ndarray:
    """Draw labels over grey values: outlines in full colour, insides in a light tint.

    Parameters
    ----------
    grey : ndarray, (y, x)
        Any numeric dtype. Percentile 1 becomes black, and percentile 99.8 becomes white.
    labels : ndarray of int, (y, x)
        Voxels of 0 stay grey.
    colors : sequence of (red, green, blue)
        One colour for each label, 0 to 255.

    Returns
    -------
    ndarray of uint8, (y, x, 3)
    """
    low, high = np.percentile(grey, (1, 99.8))
    stretched = np.clip((grey - low) / max(high - low, 1e-9), 0, 1) * 255
    picture = np.repeat(stretched[..., np.newaxis], 3, axis=2)
    table = np.asarray(colors, float)[labels]
    inside, edge = labels > 0, outlines(labels)
    picture[inside] = 0.75 * picture[inside] + 0.25 * table[inside]
    picture[edge] = table[edge]
    return picture.round().astype(np.uint8)


def outlines(labels: np.ndarray) -> np.ndarray:
    """Voxels with a label above 0 that have a neighbour with another label; any number of axes."""
    edge = np.zeros(labels.shape, bool)
    for axis in range(labels.ndim):
        one = [slice(None)] * labels.ndim
        next_ = list(one)
        one[axis], next_[axis] = slice(None, -1), slice(1, None)
        differ = labels[tuple(one)] != labels[tuple(next_)]
        edge[tuple(one)] |= differ
        edge[tuple(next_)] |= differ
    return edge & (labels > 0)


def side_by_side(left: np.ndarray, right: np.ndarray, *, gap: int = 8) -> np.ndarray:
    """Join two colour pictures (y, x, 3) of the same height, with a white gap between them."""
    between = np.full((left.shape[0], gap, 3), 255, np.uint8)
    return np.concatenate((left, between, right), axis=1)


def write_png(path: Path, picture: np.ndarray) -> None:
    """Write a colour picture as PNG: ndarray of uint8, (y, x, 3)."""
    Image.fromarray(picture).save(path)
