"""Leica LIF files, read plane by plane through liffile."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np

from bigunet.io.files.file_image import FileImage, FileSeries
from bigunet.io.files.open_files import Stamp, decoded_parts
from bigunet.io.files.plane_images import PlaneImage, only_known, package
from bigunet.io.files.planes import PlaneFile
from bigunet.io.images.multiscale import Level
from bigunet.stores.access import reading

_CHANNELS = "./Data/Image/ImageDescription/Channels/ChannelDescription"


def describe_lif(series: FileSeries, *, axes: str = "", ask: bool = False) -> FileImage:
    """Describe an image of a LIF file; no voxel of it is decoded.

    Raises
    ------
    ImageError
        If it cannot be read, or it is unclear which image is meant.
    """
    library = _library(series.path)
    with reading(series.path), library.LifFile(series.path) as file:
        return _described(_chosen(file, series), series).describe(series, axes=axes)


class OpenLif(PlaneFile):
    """An image of an open LIF file."""

    def __init__(self, series: FileSeries, stamp: Stamp) -> None:
        self._file = _library(series.path).LifFile(series.path)
        self._image = _chosen(self._file, series)
        self._stamp = stamp
        self._lock = threading.Lock()
        super().__init__(series.url, _described(self._image, series).names)

    def window(
        self, level: Level, index: Mapping[str, int], rows: slice, columns: slice
    ) -> np.ndarray:
        key = (self._stamp, tuple(index.items()))
        return decoded_parts.get(key, lambda: self._plane(index))[rows, columns]

    def close(self) -> None:
        self._file.close()

    def _plane(self, index: Mapping[str, int]) -> np.ndarray:
        with self._lock:
            return np.array(self._image.frame(**{name.upper(): k for name, k in index.items()}))


def _library(path: str) -> Any:
    return package("liffile", extra="lif", kind="a Leica LIF file", path=path)


def _chosen(file: Any, series: FileSeries) -> Any:
    images = list(file.images)
    names = [f"{image.path} {''.join(image.dims)} {image.shape}" for image in images]
    return images[series.choose(names, range(len(images)))]


def _described(image: Any, series: FileSeries) -> PlaneImage:
    sizes = dict(image.sizes)
    only_known(sizes, "TCZYXS", series.url)
    # Planes are read by their index, so that the order of the other axes is free.
    ordered = {name.lower(): sizes[name] for name in "TCZ" if name in sizes}
    ordered |= {name.lower(): sizes[name] for name in "YXS" if name in sizes}
    voxel_size = {name.lower(): _step(image, name) for name in "TZYX" if name in sizes}
    channels = image.xml_element.findall(_CHANNELS)
    names = [channel.get("LUTName", "") for channel in channels]
    return PlaneImage(ordered, np.dtype(image.dtype), voxel_size, names)


def _step(image: Any, name: str) -> float:
    """Length of a voxel in micrometres, or seconds from one point in time to the next."""
    places = image.coords.get(name)
    if places is None or len(places) < 2:
        return float("nan")
    step = abs(float(places[-1]) - float(places[0])) / (len(places) - 1)
    return step if name == "T" else step * 1e6
