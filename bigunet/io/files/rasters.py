"""Image files that are no zarr: which files they are, what they hold, and boxes of their voxels."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from bigunet.errors import ImageError
from bigunet.io.files.file_format import FileFormat
from bigunet.io.files.file_image import FileImage, FileSeries
from bigunet.io.files.open_files import open_files
from bigunet.io.images.array_reader import ArrayReader, Selection
from bigunet.io.images.multiscale import ImageDescription
from bigunet.stores.access import reading
from bigunet.urls import is_url

_LONGEST_SIDE = 256
"""Voxels along each axis of the boxes that are read at once; strips may be as large as a page."""

_HERE = "bigunet.io.files"

FORMATS = (
    FileFormat(
        (".tif", ".tiff", ".btf", ".tf8", ".svs", ".ndpi", ".scn", ".lsm", ".qptiff", ".stk"),
        f"{_HERE}.tiffs:describe_tiff",
        f"{_HERE}.open_tiff:OpenTiff",
    ),
    FileFormat(
        (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".pgm", ".ppm", ".pnm"),
        f"{_HERE}.pictures:describe_picture",
        f"{_HERE}.pictures:OpenPicture",
        reads_parts=False,
    ),
    FileFormat((".czi",), f"{_HERE}.czi:describe_czi", f"{_HERE}.czi:OpenCzi"),
    FileFormat((".nd2",), f"{_HERE}.nikon:describe_nd2", f"{_HERE}.nikon:OpenNd2"),
    FileFormat((".lif",), f"{_HERE}.lif:describe_lif", f"{_HERE}.lif:OpenLif"),
    FileFormat(
        (".mrxs", ".vms", ".vmu"), f"{_HERE}.slides:describe_slide", f"{_HERE}.slides:OpenSlideFile"
    ),
)


def is_raster(url: str) -> bool:
    """Whether this is the name of a TIFF, PNG or another image file; nothing is opened."""
    return not is_url(url) and _format_of(url) is not None


def describe_raster(url: str, *, axes: str = "", ask: bool = False) -> FileImage:
    """Describe an image file; no voxel of it is decoded.

    Axes with a known voxel size have the unit micrometer, other axes have none.

    Parameters
    ----------
    url : str
        Path of a file, with ``#2`` behind it for the image with this index.
    axes : str, optional
        Letters of the axes in the order of storage, for a file that does not state them.
    ask : bool, optional
        Whether axes that are unclear are an error; else they are taken as in a bare array.

    Raises
    ------
    ImageError
        If there is no such file, or it cannot be read as an image, or it is unclear which image
        of the file is meant.
    """
    series = FileSeries.of(url)
    if not os.path.isfile(series.path):
        raise ImageError(
            f"there is no file {series.path} on this machine; give the path of an image file"
        )
    known = _format_of(url)
    assert known is not None
    return known.describe(series, axes=axes, ask=ask)


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
        known = _format_of(image.url)
        assert known is not None
        self._format = known
        self.reads_parts = known.reads_parts

    def _cut(self, selection: Selection) -> np.ndarray:
        series = FileSeries.of(self.url)
        with reading(series.path):
            return open_files.read(series, self._format.opener, self._level, selection)


def _format_of(url: str) -> FileFormat | None:
    name = FileSeries.of(url).path.lower()
    return next((known for known in FORMATS if name.endswith(known.suffixes)), None)
