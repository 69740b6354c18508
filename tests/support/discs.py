"""Small labelled images in memory: bright discs that touch, on a dark background."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bigunet.geometry import Box
from bigunet.io.images.mirror import mirror_indices
from bigunet.model.inference.inputs import GreyRange
from bigunet.training.data.samples import Sample


class InMemory:
    """A source with the voxels of an array (channel, *space)."""

    def __init__(self, voxels: np.ndarray, axes: str, url: str = "memory") -> None:
        self.voxels = voxels
        self.url = url
        self.axes = tuple(axes)
        self.shape = voxels.shape[1:]
        self.dtype: np.dtype[Any] = voxels.dtype
        self.num_channels = len(voxels)
        self.scale_um = None

    def read(self, box: Box) -> np.ndarray:
        indices = [mirror_indices(a, b, n) for a, b, n in zip(box.start, box.stop, self.shape)]
        return self.voxels[np.ix_(range(self.num_channels), *indices)]

    def percentiles(self, quantiles: Sequence[float]) -> tuple[tuple[float, ...], ...]:
        values = [np.percentile(c, quantiles, method="inverted_cdf") for c in self.voxels]
        return tuple(tuple(float(v) for v in channel) for channel in values)


def discs(shape: Sequence[int] = (60, 50), *, seed: int = 0, count: int = 14) -> np.ndarray:
    """Numbered discs of radius 5, (*shape); later discs cover earlier ones, and 0 is background."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"))
    labels = np.zeros(shape, np.uint16)
    for number in range(1, count + 1):
        centre = np.array([rng.uniform(0, n) for n in shape]).reshape(-1, *(1,) * len(shape))
        labels[((grid - centre) ** 2).sum(0) <= 25] = number
    return labels


def grey_of(labels: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """A grey image of numbered objects, uint8 (*space)."""
    rng = np.random.default_rng(seed)
    inside = np.where(labels > 0, 150, 40)
    return np.clip(inside + rng.normal(0, 10, labels.shape), 0, 255).astype(np.uint8)


def sample_of(labels: np.ndarray, image: np.ndarray | None = None, url: str = "memory") -> Sample:
    """A sample from labels (*space) and an image (*space)."""
    image = grey_of(labels) if image is None else image
    axes = "tzyx"[-labels.ndim :]
    return Sample(
        InMemory(image[np.newaxis], axes, url),
        InMemory(labels[np.newaxis], axes, f"{url} labels"),
        GreyRange((40.0,), (150.0,)),
    )
