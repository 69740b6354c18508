"""Nikon ND2 files, read plane by plane through nd2."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np

from bigunet.errors import ImageError
from bigunet.io.files.file_image import FileImage, FileSeries
from bigunet.io.files.open_files import Stamp, decoded_parts
from bigunet.io.files.plane_images import PlaneImage, only_known, package
from bigunet.io.files.planes import PlaneFile
from bigunet.io.images.multiscale import Level
from bigunet.stores.access import reading


def describe_nd2(series: FileSeries, *, axes: str = "", ask: bool = False) -> FileImage:
    """Describe a position of an ND2 file; no voxel of it is decoded.

    Raises
    ------
    ImageError
        If it cannot be read, or it is unclear which position is meant.
    """
    library = _library(series.path)
    with reading(series.path), library.ND2File(series.path) as file:
        _position(file, series)
        return _described(file, series).describe(series, axes=axes)


class OpenNd2(PlaneFile):
    """A position of an open ND2 file."""

    def __init__(self, series: FileSeries, stamp: Stamp) -> None:
        self._file = _library(series.path).ND2File(series.path)
        self._position = _position(self._file, series)
        self._stamp = stamp
        self._lock = threading.Lock()
        image = _described(self._file, series)
        self._is_colour = "s" in image.sizes
        self._number_of = _numbers_of_frames(self._file)
        super().__init__(series.url, image.names)

    def window(
        self, level: Level, index: Mapping[str, int], rows: slice, columns: slice
    ) -> np.ndarray:
        loops = {name.upper(): k for name, k in index.items() if name != "c"}
        number = self._number_of.get(_key(loops | {"P": self._position}))
        if number is None:
            raise ImageError(f"{self.url} has no frame at {dict(index)}; it was cut short")
        frame = decoded_parts.get((self._stamp, number), lambda: self._frame(number))
        plane = frame[index["c"]] if "c" in index else frame
        return plane[rows, columns]

    def close(self) -> None:
        self._file.close()

    def _frame(self, number: int) -> np.ndarray:
        with self._lock:
            return np.array(self._file.read_frame(number))


def _library(path: str) -> Any:
    return package("nd2", extra="nd2", kind="a Nikon ND2 file", path=path)


def _position(file: Any, series: FileSeries) -> int:
    count = file.sizes.get("P", 1)
    return series.choose([f"position {k}" for k in range(count)], range(count))


def _numbers_of_frames(file: Any) -> dict[tuple[tuple[str, int], ...], int]:
    """The number of each frame in the file, by its place along the loops of the experiment."""
    loops = [{k: v for k, v in one.items() if k != "C"} for one in file.loop_indices] or [{}]
    return {_key(one): number for number, one in enumerate(loops)}


def _key(loops: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    """A place, without the loops that are at their first step: files leave out loops of one."""
    return tuple(sorted((name, k) for name, k in loops.items() if k))


def _described(file: Any, series: FileSeries) -> PlaneImage:
    sizes = {name: n for name, n in file.sizes.items() if name != "P"}
    only_known(sizes, "TCZYXS", series.url)
    ordered = {name.lower(): sizes[name] for name in "TZC" if name in sizes}
    ordered |= {name.lower(): sizes[name] for name in "YX"}
    ordered |= {"s": sizes["S"]} if "S" in sizes else {}
    channels = getattr(file.metadata, "channels", None) or ()
    names = [getattr(getattr(one, "channel", None), "name", "") for one in channels]
    return PlaneImage(ordered, np.dtype(file.dtype), _voxel_size(file, channels), names)


def _voxel_size(file: Any, channels: Any) -> dict[str, float]:
    """Micrometres along the axes that the microscope was calibrated for, and seconds of a frame."""
    size = file.voxel_size()
    known = channels[0].volume.axesCalibrated if channels else (False,) * 3
    sizes = {name: float(getattr(size, name)) for name, is_known in zip("xyz", known) if is_known}
    for loop in file.experiment:
        period = getattr(loop.parameters, "periodMs", None)
        if loop.type == "TimeLoop" and period:
            sizes["t"] = period / 1000
    return sizes
