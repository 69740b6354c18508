"""Images as training reads them, box by box, whatever they are stored as."""

from __future__ import annotations

import math
import os
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from bigunet.errors import ImageError
from bigunet.geometry import Box
from bigunet.grey.range_rule import grey_values
from bigunet.io.files.rasters import RasterReader, describe_raster, is_raster
from bigunet.io.images import intensity
from bigunet.io.images.decoded import DecodedImages, read_mirrored
from bigunet.io.images.discovery import open_multiscale
from bigunet.io.images.multiscale import Multiscale
from bigunet.io.images.units import scale_um
from bigunet.io.images.volume import VolumeReader
from bigunet.io.stores.access import normal_url

_decoded = DecodedImages(512 * 2**20)
_MAX_DECODED = 128 * 2**20
"""Bytes of an image that is kept whole; a larger one is read in parts, where its format can."""
_MAX_VOXELS = 2**24
"""Voxels per channel that percentiles of an image file look at; of zarr, it is the same."""
_SQUARE = 256


class Source(Protocol):
    """An image that boxes are read from.

    Attributes
    ----------
    url : str
    axes : tuple of str
        Names of the axes, without the channel, in the order t, z, y, x.
    shape : tuple of int
        Voxels along them.
    dtype : numpy.dtype
    num_channels : int
    scale_um : tuple of float or None
        Micrometres per voxel along the axes that are space; None where the image does not say.
    """

    @property
    def url(self) -> str: ...

    @property
    def axes(self) -> tuple[str, ...]: ...

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    @property
    def num_channels(self) -> int: ...

    @property
    def scale_um(self) -> tuple[float, ...] | None: ...

    def read(self, box: Box) -> np.ndarray:
        """Voxels (channel, *box.shape), mirrored where the box leaves the image."""
        ...

    def percentiles(self, quantiles: Sequence[float]) -> tuple[tuple[float, ...], ...]:
        """Per channel, the values at these quantiles (0 to 100), as ``segment`` takes them."""
        ...


def describe_image(url: str | Path) -> Multiscale:
    """Describe the image at ``url``: OME-Zarr, zarr array, TIFF, PNG or another image file.

    A bare array has the usual axes of its kind: the labels, or the truth, that it goes with must
    have them too.

    Raises
    ------
    ImageError
        If there is none, or it cannot be read.
    """
    address = normal_url(url)
    if is_raster(address):
        return describe_raster(address)
    if os.path.isfile(address) and not address.lower().endswith(".zip"):
        raise ImageError(f"{address} is no image; give OME-Zarr, a zarr array, TIFF or PNG")
    return open_multiscale(address, usual_axes=True)


def open_source(
    url: str | Path, *, level: int = 0, channels: Sequence[int | str] | None = None
) -> ImageSource:
    """Open an image to read boxes from.

    Parameters
    ----------
    url : str or Path
        An OME-Zarr image or a label image inside it, a zarr array, a TIFF or PNG file.
    level : int, optional
        Of a pyramid; level 0 is the largest.
    channels : sequence of int or str, optional
        To read, by index or name, in this order; None reads all.

    Raises
    ------
    ImageError
        If there is no image, or it cannot be read.
    OptionError
        If it has no such level or channel.
    """
    image = describe_image(url)
    chosen = range(image.num_channels) if channels is None else map(image.channel_index, channels)
    return ImageSource(image, level=level, channels=tuple(chosen))


class ImageSource:
    """Reads a described image; picklable, and opened when first read, in each process.

    Small images are kept decoded in a memory that all sources of a process share.

    Parameters
    ----------
    image : Multiscale
    level : int, optional
    channels : sequence of int
    """

    def __init__(self, image: Multiscale, *, level: int = 0, channels: Sequence[int]) -> None:
        kind = RasterReader if is_raster(image.url) else VolumeReader
        self._reader: RasterReader | VolumeReader = kind(image, level=level, channels=channels)
        self._image = image
        self._level = level
        self._channels = tuple(channels)
        self._key = uuid.uuid4().hex
        self.url = image.url
        self.axes = self._reader.axes
        self.shape = self._reader.shape
        self.dtype = self._reader.dtype
        self.num_channels = self._reader.num_channels
        self.scale_um = scale_um(image, level)

    def read(self, box: Box) -> np.ndarray:
        """Voxels (channel, *box.shape), mirrored where the box leaves the image.

        Raises
        ------
        GeometryError
            If the box has other dimensions than the image.
        ImageError
            If a voxel cannot be read or decoded.
        """
        if not self._is_kept():
            return self._reader.read(box)
        whole = self._whole()
        outer = Box.of_shape(self.shape)
        return read_mirrored(
            lambda inner: whole[(slice(None), *inner.within(outer))].copy(), box, self.shape
        )

    def percentiles(self, quantiles: Sequence[float]) -> tuple[tuple[float, ...], ...]:
        """Per channel, the values at these quantiles, as ``segment`` takes them.

        They are those of the whole image, of the level that
        :func:`bigunet.io.images.intensity.percentiles` chooses, whatever level is read.

        Raises
        ------
        OptionError
            If a quantile is not in 0 to 100.
        ImageError
            If a channel has no finite voxel.
        """
        if isinstance(self._reader, VolumeReader):
            return intensity.percentiles(self._image, quantiles, channels=self._channels).values
        level, boxes = _where_to_look(self._image)
        outer = Box.of_shape(self._image.volume_shape(level))
        values = []
        for k, channel in enumerate(self._channels):
            if level == self._level and self._is_kept():
                parts = [self._whole()[k][box.within(outer)] for box in boxes]
            else:
                # Channel by channel: of many, as stains have, all may not fit into memory.
                reader = RasterReader(self._image, level=level, channels=(channel,))
                parts = [reader.read(box)[0] for box in boxes]
            found = grey_values(parts, quantiles)
            if found is None:
                raise ImageError(f"channel {channel} of {self.url} has no finite voxel")
            values.append(found.values)
        return tuple(values)

    def _is_kept(self) -> bool:
        size = math.prod(self.shape) * self.num_channels * self.dtype.itemsize
        parts = not isinstance(self._reader, RasterReader) or self._reader.reads_parts
        return size <= _MAX_DECODED or not parts

    def _whole(self) -> np.ndarray:
        return _decoded.get(self._key, lambda: self._reader.read(Box.of_shape(self.shape)))


def _where_to_look(image: Multiscale) -> tuple[int, list[Box]]:
    """The level of an image file whose voxels tell its percentiles, and the boxes to read.

    All of the largest level that is small enough; otherwise squares of the smallest, spread by
    multiples of irrational numbers, which miss no part however the image repeats itself.
    """
    sizes = [math.prod(image.volume_shape(k)) for k in range(len(image.levels))]
    fitting = [k for k, size in enumerate(sizes) if size <= _MAX_VOXELS]
    if fitting:
        level = max(fitting, key=lambda k: sizes[k])
        return level, [Box.of_shape(image.volume_shape(level))]
    level = int(np.argmin(sizes))
    shape = image.volume_shape(level)
    square = (1,) * (len(shape) - 2) + tuple(min(n, _SQUARE) for n in shape[-2:])
    room = [n - s for n, s in zip(shape, square)]
    steps = [2 ** (k / (len(shape) + 1)) for k in range(1, len(shape) + 1)]
    boxes = []
    for k in range(_MAX_VOXELS // _SQUARE**2):
        start = tuple(int(k * step % 1 * (r + 1)) for step, r in zip(steps, room))
        boxes.append(Box(start, tuple(a + s for a, s in zip(start, square))))
    return level, boxes
