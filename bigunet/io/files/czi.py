"""Zeiss CZI files, read through Zeiss's own library in windows of planes."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

import numpy as np

from bigunet.errors import ImageError
from bigunet.io.files.file_image import FileImage, FileSeries
from bigunet.io.files.open_files import Stamp
from bigunet.io.files.plane_images import PlaneImage, only_known, package
from bigunet.io.files.planes import PlaneFile
from bigunet.io.images.multiscale import Level
from bigunet.stores.access import reading

_DTYPES = {
    "Gray8": ("uint8", False),
    "Gray16": ("uint16", False),
    "Gray32Float": ("float32", False),
    "Bgr24": ("uint8", True),
    "Bgr48": ("uint16", True),
}


def describe_czi(series: FileSeries, *, axes: str = "", ask: bool = False) -> FileImage:
    """Describe a scene of a CZI file at its full resolution; no voxel of it is decoded.

    Raises
    ------
    ImageError
        If it cannot be read, or it is unclear which scene is meant.
    """
    library = _library(series.path)
    with reading(series.path), library.open_czi(series.path) as document:
        image, _, _ = _described(document, series)
        return image.describe(series, axes=axes)


class OpenCzi(PlaneFile):
    """A scene of an open CZI file; one thread at a time reads from it."""

    def __init__(self, series: FileSeries, stamp: Stamp) -> None:
        opened = _library(series.path).open_czi(series.path)
        self._document = opened.__enter__()
        self._opened = opened
        image, self._corner, self._scene = _described(self._document, series)
        self._is_colour = "s" in image.sizes
        self._lock = threading.Lock()
        super().__init__(series.url, image.names)

    def window(
        self, level: Level, index: Mapping[str, int], rows: slice, columns: slice
    ) -> np.ndarray:
        x, y = self._corner[0] + columns.start, self._corner[1] + rows.start
        roi = (x, y, columns.stop - columns.start, rows.stop - rows.start)
        plane = {name.upper(): k for name, k in index.items()}
        with self._lock:
            # A copy: the library may take the memory back.
            voxels = np.array(self._document.read(roi=roi, plane=plane, scene=self._scene))
        return voxels[..., ::-1] if self._is_colour else voxels[..., 0]

    def close(self) -> None:
        self._opened.__exit__(None, None, None)


def _library(path: str) -> Any:
    return package("pylibCZIrw.czi", extra="czi", kind="a Zeiss CZI file", path=path)


def _described(document: Any, series: FileSeries) -> tuple[PlaneImage, tuple[int, int], int | None]:
    """The scene that is meant, its first pixel (x, y) in the file, and its number in the file."""
    scenes = dict(document.scenes_bounding_rectangle_no_pyramid)
    numbers = sorted(scenes)
    names = [f"scene {k} ({scenes[k].h} x {scenes[k].w})" for k in numbers] or ["the image"]
    chosen = series.choose(names, range(len(names)))
    scene = numbers[chosen] if numbers else None
    area = document.total_bounding_rectangle_no_pyramid if scene is None else scenes[scene]
    box = document.total_bounding_box_no_pyramid
    counts = {name: stop - start for name, (start, stop) in box.items() if name not in "XYSMB"}
    only_known(counts, "TCZ", series.url)
    dtype, is_colour = _dtype_of(document, series)
    sizes = {name.lower(): counts[name] for name in "TCZ" if counts.get(name, 1) > 1}
    sizes |= {"y": area.h, "x": area.w} | ({"s": 3} if is_colour else {})
    channel_names, voxel_size = _metadata(document.raw_metadata)
    image = PlaneImage(sizes, dtype, voxel_size, channel_names)
    return image, (area.x, area.y), scene


def _dtype_of(document: Any, series: FileSeries) -> tuple[np.dtype[Any], bool]:
    """Type of the voxels, and whether each has three colours."""
    kinds = set(document.pixel_types.values())
    if len(kinds) != 1 or not kinds <= set(_DTYPES):
        raise ImageError(
            f"{series.url} has voxels of {', '.join(sorted(map(str, kinds))) or 'no type'}; "
            f"one of {', '.join(_DTYPES)} can be read: export it as OME-TIFF"
        )
    name, is_colour = _DTYPES[kinds.pop()]
    return np.dtype(name), is_colour


def _metadata(xml: str) -> tuple[list[str], dict[str, float]]:
    """Names of the channels, and the voxel size in micrometres."""
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError:
        return [], {}
    channels = root.findall("./Metadata/Information/Image/Dimensions/Channels/Channel")
    sizes: dict[str, float] = {}
    for distance in root.findall("./Metadata/Scaling/Items/Distance"):
        axis, metres = distance.get("Id", "").lower(), distance.findtext("Value")
        if axis in ("x", "y", "z") and metres:
            sizes[axis] = float(metres) * 1e6
    return [channel.get("Name", "") for channel in channels], sizes
