"""A grid of square pixels over a plane of an image, and the voxels of any image below them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bigunet.geometry import Box
from bigunet.io.files.opening import open_level
from bigunet.io.images.multiscale import ImageDescription
from bigunet.viewing.zarr_view import placement

_MOST_VOXELS = 2**24
"""Voxels that are read at a time."""
_MOST_MAGNIFIED = 8


@dataclass(frozen=True, slots=True)
class PixelGrid:
    """Square pixels in a plane.

    Parameters
    ----------
    height, width : int
    pitch : float
        Length of a pixel, in micrometres, or in the units of an image that states none.
    corner : (float, float)
        Where the first pixel begins, along y and x.
    place : mapping of str to float
        Where the plane is along the other axes.
    """

    height: int
    width: int
    pitch: float
    corner: tuple[float, float]
    place: Mapping[str, float]

    @classmethod
    def over(cls, image: ImageDescription, voxel: Mapping[str, int], *, size: int) -> PixelGrid:
        """The grid over the whole plane of a voxel, with at most ``size`` pixels on a side.

        A small plane is magnified by a whole number.
        """
        scales, starts = _edges(image)
        extents = dict(zip(image.volume_axes, image.volume_shape()))
        lengths = [extents[axis] * scales[axis] for axis in "yx"]
        voxel_length = min(scales["y"], scales["x"])
        magnified = int(min(size * voxel_length / max(lengths) + 1e-9, _MOST_MAGNIFIED))
        pitch = voxel_length / magnified if magnified else max(lengths) / size
        height, width = (max(1, round(length / pitch)) for length in lengths)
        return cls(height, width, pitch, (starts["y"], starts["x"]), _places(image, voxel))

    @classmethod
    def around(cls, image: ImageDescription, voxel: Mapping[str, int], *, size: int) -> PixelGrid:
        """The grid around a voxel, as long as ``size`` voxels, a pixel for each voxel."""
        scales, starts = _edges(image)
        pitch = min(scales["y"], scales["x"])
        centres = [starts[a] + (voxel[a] + 0.5) * scales[a] for a in "yx"]
        # The centre of the voxel is the centre of a pixel.
        corner = [centre - (size // 2 + 0.5) * pitch for centre in centres]
        return cls(size, size, pitch, (corner[0], corner[1]), _places(image, voxel))

    def voxels(self, image: ImageDescription, channel: int = 0) -> np.ndarray:
        """The value of an image at the centre of each pixel, (height, width); 0 outside of it.

        Of a level with voxels that are not longer than a pixel, if there is one.
        """
        level = _level_for(image, self.pitch)
        shape = dict(zip(image.volume_axes, image.volume_shape(level)))
        rows = self._indices(image, level, "y", shape["y"])
        columns = self._indices(image, level, "x", shape["x"])
        others = self._others(image, level)
        reader = open_level(image, level=level, channels=(channel,))
        result = np.zeros((self.height, self.width), reader.dtype)
        if others is None or not (rows >= 0).any() or not (columns >= 0).any():
            return result
        seen = columns[columns >= 0]
        left, right = int(seen.min()), int(seen.max()) + 1
        for band in _bands(rows, right - left):
            top, bottom = int(rows[band].min()), int(rows[band].max()) + 1
            box = Box(
                tuple({"y": top, "x": left}.get(a, others.get(a, 0)) for a in image.volume_axes),
                tuple(
                    {"y": bottom, "x": right}.get(a, others.get(a, 0) + 1)
                    for a in image.volume_axes
                ),
            )
            read = reader.read(box).reshape(bottom - top, right - left)
            part = read[np.ix_(rows[band] - top, seen - left)]
            result[np.ix_(band, np.flatnonzero(columns >= 0))] = part
        return result

    def _indices(self, image: ImageDescription, level: int, axis: str, extent: int) -> np.ndarray:
        """The voxel below the centre of each pixel along y or x; -1 outside."""
        scales, starts = _edges(image, level)
        count, corner = (
            (self.height, self.corner[0]) if axis == "y" else (self.width, self.corner[1])
        )
        centres = corner + (np.arange(count) + 0.5) * self.pitch
        below = np.floor((centres - starts[axis]) / scales[axis] + 1e-9).astype(np.int64)
        return np.where((below >= 0) & (below < extent), below, -1)

    def _others(self, image: ImageDescription, level: int) -> dict[str, int] | None:
        """The voxel along the other axes; None if the plane lies outside the image."""
        scales, starts = _edges(image, level)
        extents = dict(zip(image.volume_axes, image.volume_shape(level)))
        result = {}
        for axis in (a for a in image.volume_axes if a not in "yx"):
            # An axis that the main image does not have has one place.
            place = self.place.get(axis, starts[axis])
            index = math.floor((place - starts[axis]) / scales[axis] + 1e-9)
            if not 0 <= index < extents[axis]:
                return None
            result[axis] = index
        return result


def _edges(image: ImageDescription, level: int = 0) -> tuple[dict[str, float], dict[str, float]]:
    """Size of a voxel, and where voxel 0 begins, along each volume axis."""
    scale, translation = placement(image, level)
    starts = (t - s / 2 for t, s in zip(translation, scale))
    return dict(zip(image.volume_axes, scale)), dict(zip(image.volume_axes, starts))


def _places(image: ImageDescription, voxel: Mapping[str, int]) -> dict[str, float]:
    scales, starts = _edges(image)
    return {a: starts[a] + (voxel[a] + 0.5) * scales[a] for a in image.volume_axes if a not in "yx"}


def _level_for(image: ImageDescription, pitch: float) -> int:
    """The coarsest level with voxels that are not longer than a pixel, or level 0."""
    chosen = 0
    for level in range(len(image.levels)):
        scales, _ = _edges(image, level)
        if max(scales["y"], scales["x"]) <= pitch * (1 + 1e-6):
            chosen = level
    return chosen


def _bands(rows: np.ndarray, width: int) -> list[np.ndarray]:
    """Pixels with rows inside the image, in groups that are read at a time."""
    inside = np.flatnonzero(rows >= 0)
    most = max(1, _MOST_VOXELS // width)
    begin, bands = 0, []
    for end in range(1, len(inside) + 1):
        is_last = end == len(inside)
        if is_last or rows[inside[end]] - rows[inside[begin]] >= most:
            bands.append(inside[begin:end])
            begin = end
    return bands
