"""A part of an image that is read as if it were the whole image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bigunet.errors import ImageError
from bigunet.geometry import Box
from bigunet.io.images.mirror import read_mirrored
from bigunet.io.sources.source import Source


class Crop:
    """A box of a source. Beyond its border, voxels are mirrored; those of the source are not read.

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
        """See :meth:`bigunet.io.images.reader.Reader.read`; the border is that of the region."""
        return read_mirrored(
            lambda inner: self._source.read(inner.shift(self._region.start)), box, self
        )

    def percentiles(self, quantiles: Sequence[float]) -> tuple[tuple[float, ...], ...]:
        """Percentiles of the whole source: ``segment`` will normalise the image by them."""
        return self._source.percentiles(quantiles)
