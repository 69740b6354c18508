"""Image files that are no zarr: which files they are, what they hold, and boxes of their voxels."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from bigunet.errors import ImageError
from bigunet.io.files.pictures import PICTURE_SUFFIXES, decode_picture, describe_picture
from bigunet.io.files.tiffs import TIFF_SUFFIXES, describe_tiff, read_tiff
from bigunet.io.images.array_reader import ArrayReader, Selection
from bigunet.io.images.multiscale import ImageDescription

_LONGEST_SIDE = 256
"""Voxels along each axis of the boxes that are read at once; strips may be as large as a page."""


def is_raster(url: str) -> bool:
    """Whether this is the name of a TIFF, PNG or another image file; nothing is opened."""
    return url.lower().endswith((*TIFF_SUFFIXES, *PICTURE_SUFFIXES))


def describe_raster(url: str) -> ImageDescription:
    """Describe an image file; no voxel of it is decoded.

    Axes with a known voxel size have the unit micrometer, other axes have none.

    Raises
    ------
    ImageError
        If there is no such file, or it cannot be read as an image.
    """
    if not os.path.isfile(url):
        raise ImageError(f"{url} is no file on this machine; give the path of an image file")
    return describe_tiff(url) if _is_tiff(url) else describe_picture(url)


class RasterReader(ArrayReader):
    """Reads boxes of some channels of an image file; threads and processes may share it.

    Parameters
    ----------
    image : ImageDescription
        As :func:`describe_raster` returns it.
    level : int, optional
    channels : sequence of int, optional
        Indices of the channels to read, in this order; an index may come twice.

    Raises
    ------
    OptionError
        If the image has no such level or channel.
    """

    def __init__(
        self, image: ImageDescription, *, level: int = 0, channels: Sequence[int] = (0,)
    ) -> None:
        super().__init__(image, level=level, channels=channels)
        self._level = image.level(level)
        self.chunk = tuple(min(n, _LONGEST_SIDE) for n in self.chunk)
        self.reads_parts = _is_tiff(image.url)

    def _cut(self, selection: Selection) -> np.ndarray:
        if self.reads_parts:
            return read_tiff(self.url, self._level, selection)
        return decode_picture(self.url, self._level.shape)[selection]


def _is_tiff(url: str) -> bool:
    return url.lower().endswith(TIFF_SUFFIXES)
