"""Slides that tifffile does not read, such as MRXS, through openslide."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from bigunet.io.files.file_image import FileImage, FileSeries
from bigunet.io.files.open_files import Stamp
from bigunet.io.files.plane_images import PlaneImage, package
from bigunet.io.files.planes import PlaneFile
from bigunet.io.images.multiscale import Level
from bigunet.stores.access import reading

_WHITE = "FFFFFF"
_SAME = 0.01
"""Levels that are coarser by a whole number, but for this part of a pixel, are read."""


def describe_slide(series: FileSeries, *, axes: str = "", ask: bool = False) -> FileImage:
    """Describe a slide; no voxel of it is decoded.

    Raises
    ------
    ImageError
        If it cannot be read.
    """
    library = _library(series.path)
    with reading(series.path), library.OpenSlide(series.path) as slide:
        series.choose(("the slide",), (0,))
        levels = _levels(slide)
        return _described(slide).describe(
            series,
            axes=axes,
            files=_files_of(series.path),
            others=tuple(slide.associated_images),
            factors=tuple(levels.values()),
            shapes=[(*slide.level_dimensions[k][::-1], 3) for k in levels],
        )


class OpenSlideFile(PlaneFile):
    """An open slide. Where nothing was scanned, it has the colour that the file names, or white."""

    def __init__(self, series: FileSeries, stamp: Stamp) -> None:
        self._slide = _library(series.path).OpenSlide(series.path)
        self._levels = list(_levels(self._slide).items())
        colour = self._slide.properties.get("openslide.background-color", _WHITE)
        self._background = np.frombuffer(bytes.fromhex(colour), np.uint8)
        super().__init__(series.url, "yxc")

    def window(
        self, level: Level, index: Mapping[str, int], rows: slice, columns: slice
    ) -> np.ndarray:
        number, factor = self._levels[int(level.path)]
        corner = (columns.start * factor, rows.start * factor)
        size = (columns.stop - columns.start, rows.stop - rows.start)
        voxels = np.asarray(self._slide.read_region(corner, number, size))
        colours, opacity = voxels[..., :3], voxels[..., 3:].astype(np.uint16)
        if (opacity == 255).all():
            return np.ascontiguousarray(colours)
        mixed = colours * opacity + self._background * (255 - opacity)
        return ((mixed + 127) // 255).astype(np.uint8)

    def close(self) -> None:
        self._slide.close()


def _library(path: str) -> Any:
    kind = "a slide of 3DHISTECH or Hamamatsu"
    return package("openslide", extra="slides", kind=kind, path=path)


def _levels(slide: Any) -> dict[int, int]:
    """The levels that can be read exactly, and how much coarser each of them is."""
    factors = {k: round(float(factor)) for k, factor in enumerate(slide.level_downsamples)}
    return {
        k: factor
        for k, factor in factors.items()
        if abs(factor - float(slide.level_downsamples[k])) < _SAME
    }


def _described(slide: Any) -> PlaneImage:
    width, height = slide.dimensions
    voxel_size = {
        axis: float(slide.properties[name])
        for axis, name in (("y", "openslide.mpp-y"), ("x", "openslide.mpp-x"))
        if name in slide.properties
    }
    return PlaneImage({"y": height, "x": width, "s": 3}, np.dtype(np.uint8), voxel_size)


def _files_of(path: str) -> tuple[str, ...]:
    """The file, and those in the folder of the same name beside it."""
    folder = os.path.splitext(path)[0]
    beside = sorted(glob.glob(os.path.join(glob.escape(folder), "*")))
    return (path, *(other for other in beside if os.path.isfile(other)))
