"""Image files that are no zarr: which they are, what is in them, and boxes of their voxels."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from bigunet.errors import ImageError, OptionError
from bigunet.geometry import Box
from bigunet.io.files.pictures import PICTURE_SUFFIXES, decode_picture, describe_picture
from bigunet.io.files.tiffs import TIFF_SUFFIXES, describe_tiff, read_tiff
from bigunet.io.images.channels import listed
from bigunet.io.images.decoded import read_mirrored
from bigunet.io.images.multiscale import Multiscale


def is_raster(url: str) -> bool:
    """Whether this is the name of a TIFF, PNG or another image file; nothing is opened."""
    return url.lower().endswith((*TIFF_SUFFIXES, *PICTURE_SUFFIXES))


def describe_raster(url: str) -> Multiscale:
    """Describe an image file; no voxel of it is decoded.

    Its ``version`` is empty and its ``zarr_format`` 0. Axes with a known size have the unit
    micrometer, others none.

    Raises
    ------
    ImageError
        If there is no such file, or it cannot be read as an image.
    """
    if not os.path.isfile(url):
        raise ImageError(f"{url} is no file on this machine; give the path of an image file")
    return describe_tiff(url) if _is_tiff(url) else describe_picture(url)


class RasterReader:
    """Reads boxes of some channels of an image file, as ``VolumeReader`` does of zarr.

    Parameters
    ----------
    image : Multiscale
        As :func:`describe_raster` describes it.
    level : int, optional
    channels : sequence of int, optional
        Which channels to read, in this order; one may come twice.

    Attributes
    ----------
    axes, shape, dtype, num_channels
        As those of ``VolumeReader``.
    reads_parts : bool
        Whether a box can be read without decoding the whole file.

    Raises
    ------
    OptionError
        If the image has no such level or channel.
    """

    def __init__(
        self, image: Multiscale, *, level: int = 0, channels: Sequence[int] = (0,)
    ) -> None:
        self._image = image
        self._level = image.level(level)
        self._channels = tuple(channels)
        if not self._channels or not all(0 <= k < image.num_channels for k in self._channels):
            raise OptionError(
                f"channels {self._channels} of {image.url}: choose one or more of "
                f"{listed(image.channel_names)}"
            )
        self.axes = image.volume_axes
        self.shape = image.volume_shape(level)
        self.dtype: np.dtype[Any] = np.dtype(self._level.dtype)
        self.num_channels = len(self._channels)
        self.reads_parts = _is_tiff(image.url)

    def read(self, box: Box) -> np.ndarray:
        """Read a box, mirrored where it leaves the image.

        Returns
        -------
        ndarray, shape (channel, *box.shape)
            Axes in canonical order, C-contiguous, in the image's own dtype.

        Raises
        ------
        GeometryError
            If the box has other dimensions than the image.
        ImageError
            If a voxel cannot be read or decoded.
        """
        return read_mirrored(self._read_inside, box, self.shape)

    def _read_inside(self, box: Box) -> np.ndarray:
        image, first = self._image, min(self._channels)
        selection = [slice(first, max(self._channels) + 1)] * len(image.axes)
        for stored, part in zip(image.volume_order, box.within(Box.of_shape(self.shape))):
            selection[stored] = part
        if self.reads_parts:
            voxels = read_tiff(image.url, self._level, selection)
        else:
            voxels = decode_picture(image.url, self._level.shape)[tuple(selection)]
        if image.channel_axis is None:
            voxels = voxels.transpose(image.volume_order)[np.newaxis]
        else:
            voxels = voxels.transpose(image.channel_axis, *image.volume_order)
        chosen = [k - first for k in self._channels]
        if chosen != list(range(len(voxels))):
            voxels = voxels.take(chosen, axis=0)
        return np.ascontiguousarray(voxels, dtype=self.dtype)


def _is_tiff(url: str) -> bool:
    return url.lower().endswith(TIFF_SUFFIXES)
