"""Images as training and evaluation read them, box by box, whatever they are stored as."""

from __future__ import annotations

import math
import os
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from bigunet.errors import ImageError
from bigunet.geometry import Box
from bigunet.io.files.opening import open_image, open_level
from bigunet.io.files.rasters import is_raster
from bigunet.io.images.decoded import DecodedImages
from bigunet.io.images.intensity import percentiles_of_levels
from bigunet.io.images.mirror import read_mirrored
from bigunet.io.images.multiscale import ImageDescription
from bigunet.io.images.reader import LevelReader, Reader
from bigunet.stores.access import normal_url

_decoded = DecodedImages(512 * 2**20)
_MAX_DECODED = 128 * 2**20
"""Bytes of the largest image that is kept whole. Larger ones are read in parts, if they can be."""


class Source(Reader, Protocol):
    """A reader that also measures the grey values of its image."""

    def percentiles(self, quantiles: Sequence[float]) -> tuple[tuple[float, ...], ...]:
        """Per channel, the grey values at these quantiles.

        Parameters
        ----------
        quantiles : sequence of float
            In percent, 0 to 100.

        Returns
        -------
        tuple of tuple of float
            Per channel, a value per quantile: those that ``segment`` measures on the whole image,
            as :func:`bigunet.io.images.intensity.percentiles_of_levels` says.

        Raises
        ------
        OptionError
            If a quantile is not in 0 to 100.
        ImageError
            If a channel has no finite voxel, or voxels cannot be read.
        """
        ...


def describe_image(url: str | Path) -> ImageDescription:
    """Describe the image at ``url``: OME-Zarr, zarr array, TIFF, PNG or another image file.

    The axes of a bare array without names are yx, zyx, czyx or tczyx, even where one of them may
    hold colours: its labels, or its truth, must have the same axes.

    Raises
    ------
    ImageError
        If there is no image, or it cannot be read.
    """
    address = normal_url(url)
    is_zip = address.lower().endswith(".zip")
    if os.path.isfile(address) and not is_zip and not is_raster(address):
        raise ImageError(f"{address} is no image; give OME-Zarr, a zarr array, TIFF or PNG")
    return open_image(address, usual_axes=True)


def open_source(
    url: str | Path, *, level: int = 0, channels: Sequence[int | str] | None = None
) -> ImageSource:
    """Open an image to read boxes from.

    Parameters
    ----------
    url : str or Path
        An OME-Zarr image or a label image inside it, a zarr array, a TIFF or PNG file.
    level : int, optional
        The level of a pyramid; level 0 is the largest.
    channels : sequence of int or str, optional
        The channels to read, by index or name, in this order; None reads all.

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
    """The :class:`Source` of a described image; each process opens it at its first read.

    Small images are kept decoded, in a memory that all sources of a process share.

    Parameters
    ----------
    image : ImageDescription
    level : int, optional
    channels : sequence of int
    """

    def __init__(self, image: ImageDescription, *, level: int = 0, channels: Sequence[int]) -> None:
        self._reader = open_level(image, level=level, channels=channels)
        self._image = image
        self._level = level
        self._channels = tuple(channels)
        self._key = uuid.uuid4().hex
        self.url = image.url
        self.axes = self._reader.axes
        self.shape = self._reader.shape
        self.dtype = self._reader.dtype
        self.num_channels = self._reader.num_channels
        self.scale_um = self._reader.scale_um

    def read(self, box: Box) -> np.ndarray:
        """See :meth:`bigunet.io.images.reader.Reader.read`."""
        if not self._is_kept():
            return self._reader.read(box)
        return _read_kept(self._whole(), slice(None), box, self._reader)

    def percentiles(self, quantiles: Sequence[float]) -> tuple[tuple[float, ...], ...]:
        """See :meth:`Source.percentiles`; they do not depend on the level of this source."""
        return percentiles_of_levels(
            self._image, self._open, quantiles, channels=self._channels
        ).values

    def _open(self, level: int, channels: Sequence[int]) -> LevelReader:
        reader = open_level(self._image, level=level, channels=channels)
        if level != self._level or not self._is_kept():
            return reader
        return _KeptReader(reader, self._whole(), [self._channels.index(k) for k in channels])

    def _is_kept(self) -> bool:
        size = math.prod(self.shape) * self.num_channels * self.dtype.itemsize
        return size <= _MAX_DECODED or not self._reader.reads_parts

    def _whole(self) -> np.ndarray:
        return _decoded.get(self._key, lambda: self._reader.read(Box.of_shape(self.shape)))


class _KeptReader:
    """A reader of a level that is in memory already.

    Parameters
    ----------
    reader : LevelReader
        A reader of the same channels of the same level.
    voxels : ndarray, shape (channel, *reader.shape)
        The whole level, with these channels and perhaps others.
    channels : list of int
        Where the channels stand in ``voxels``.
    """

    def __init__(self, reader: LevelReader, voxels: np.ndarray, channels: list[int]) -> None:
        self._reader = reader
        self._voxels = voxels
        self._channels = channels
        self.url = reader.url
        self.axes = reader.axes
        self.shape = reader.shape
        self.chunk = reader.chunk
        self.dtype = reader.dtype
        self.num_channels = reader.num_channels
        self.scale_um = reader.scale_um

    def read(self, box: Box) -> np.ndarray:
        return _read_kept(self._voxels, self._channels, box, self)

    def is_stored(self, box: Box) -> bool:
        return self._reader.is_stored(box)


def _read_kept(
    voxels: np.ndarray, channels: slice | list[int], box: Box, reader: Reader
) -> np.ndarray:
    """Cut a box from the whole image (channel, *reader.shape); the caller may change it."""
    outer = Box.of_shape(reader.shape)
    return read_mirrored(lambda inner: voxels[(channels, *inner.within(outer))].copy(), box, reader)
