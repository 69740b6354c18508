"""A part of an image as an image of its own, mirrored at its edges."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bigunet.errors import ImageError
from bigunet.geometry import Box
from bigunet.io.images.mirror import read_mirrored
from bigunet.io.sources.source import Source


class Crop:
    """A box of a source that stands for the whole: what lies outside is mirrored, never read.

    Parameters
    ----------
    source : Source
    region : Box
        Within the source's shape.

    Raises
    ------
    ImageError
        If the region is empty or leaves the source.
    """

    def __init__(self, source: Source, region: Box) -> None:
        if not Box.of_shape(source.shape).contains(region) or region.size == 0:
            raise ImageError(f"{source.url} of shape {source.shape} has no part {region}")
        self._source = source
        self._region = region
        self.url = source.url
        self.axes = source.axes
        self.shape = region.shape
        self.dtype = source.dtype
        self.num_channels = source.num_channels
        self.scale_um = source.scale_um

    def read(self, box: Box) -> np.ndarray:
        """Voxels (channel, *box.shape), mirrored at the edges of the part."""
        return read_mirrored(
            lambda inner: self._source.read(inner.shift(self._region.start)), box, self
        )

    def percentiles(self, quantiles: Sequence[float]) -> tuple[tuple[float, ...], ...]:
        """Those of the whole source: the image is normalised as ``segment`` will."""
        return self._source.percentiles(quantiles)
