"""Images of which the grey values are the classes, and a network that returns them as classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import zarr
from torch import nn

from bigunet import Model, Normalisation

CLASSES = ("background", "cell", "border")


def classes_model(ndim: int) -> Model:
    """A model of three classes: the class of a voxel is its grey value, 0 to 2."""
    conv = (nn.Conv2d if ndim == 2 else nn.Conv3d)(1, len(CLASSES), 1)
    numbers = torch.arange(len(CLASSES), dtype=torch.float32)
    with torch.no_grad():
        # The greatest score 2 k x - k**2 is that of the k nearest to x.
        conv.weight.copy_((2 * numbers).reshape(conv.weight.shape))
        conv.bias.copy_(-(numbers**2))
    return Model.of_module(
        conv, ndim=ndim, classes=CLASSES, normalisation=Normalisation("fixed", 0, 1)
    )


def write_classes(path: Path, classes: np.ndarray, axes: str = "") -> Path:
    """Write classes as a bare zarr array; ``axes`` has a letter for each axis."""
    names = tuple(axes or "tzyx"[-classes.ndim :])
    array = zarr.create_array(
        str(path), shape=classes.shape, chunks=tuple(min(n, 32) for n in classes.shape),
        dtype="uint8", dimension_names=names, overwrite=True,
    )  # fmt: skip
    array[:] = classes
    return path


def spiral(side: int) -> np.ndarray:
    """A path one voxel wide that turns inwards, with free voxels between its turns: bool."""
    path = np.zeros((side, side), bool)
    low, high = 0, side - 1
    while low <= high:
        path[low, max(low - 2, 0) : high + 1] = True
        path[low : high + 1, high] = True
        path[high, low : high + 1] = True
        path[low + 2 : high + 1, low] = True
        low, high = low + 2, high - 2
    return path


def comb(shape: tuple[int, int]) -> np.ndarray:
    """Teeth that only the last row joins: bool."""
    teeth = np.zeros(shape, bool)
    teeth[:, ::2] = True
    teeth[-1] = True
    return teeth
