"""TIFF files: their axes and levels, and parts of their voxels.

Only the strips or tiles under a part are read, never the whole of a large file.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import tifffile
import zarr
from cachetools import LRUCache

from bigunet.errors import ImageError
from bigunet.io.files.tiff_tags import channel_names, voxel_size_um
from bigunet.io.images.array_reader import Selection
from bigunet.io.images.axes import axis_named
from bigunet.io.images.channels import are_colours
from bigunet.io.images.multiscale import Axis, ImageDescription, Level
from bigunet.io.images.ngff import level_factors
from bigunet.stores.access import reading
from bigunet.urls import shown_url

logger = logging.getLogger(__name__)

TIFF_SUFFIXES = (".tif", ".tiff", ".btf", ".tf8", ".svs", ".ndpi", ".scn", ".lsm")

_GUESSED = "zct"
"""Axes without a meaning: one is taken for z, two for c and z, as in bare arrays."""
_MAX_OPEN = 16


def describe_tiff(url: str) -> ImageDescription:
    """Describe the first image of a TIFF file.

    Parameters
    ----------
    url : str
        Path of a TIFF, OME-TIFF, ImageJ hyperstack, or pyramid.

    Raises
    ------
    ImageError
        If it cannot be read, or it is unclear what its axes are.
    """
    with reading(url), tifffile.TiffFile(url) as tiff:
        series = tiff.series[0]
        names = name_axes(series.axes, url)
        size = voxel_size_um(tiff)
        _warn_of_more(url, tiff)
        shapes = {
            k: _without_alpha(level)
            for k, level in enumerate(series.levels)
            if _alike(level, series)
        }
        num_channels = dict(zip(names, shapes[0])).get("c", 1)
        names_of_channels = channel_names(tiff, num_channels)
        return ImageDescription(
            url=url,
            name=os.path.basename(url),
            axes=tuple(_axis(name, size) for name in names),
            levels=tuple(
                _level(str(k), shape, series.levels[k], _scale(names, size, shapes[0], shape))
                for k, shape in shapes.items()
            ),
            channel_names=names_of_channels,
            is_label=False,
            is_rgb=are_colours(names_of_channels, ()),
        )


def name_axes(stored: str, url: str) -> str:
    """Letters of the axes of a TIFF, from the letters that tifffile gives them.

    Examples
    --------
    >>> name_axes("YXS", "a.tif"), name_axes("IYX", "a.tif"), name_axes("QQYX", "a.tif")
    ('yxc', 'zyx', 'czyx')
    """
    names = ["c" if a == "S" else a.lower() if a in "TCZYX" else "" for a in stored]
    if names.count("c") > 1:
        raise ImageError(
            f"{url} has channels of several colours each (axes {stored}); save them as grey"
        )
    free = [name for name in _GUESSED if name not in names]
    unnamed = names.count("")
    if unnamed > len(free):
        raise ImageError(f"{url} has the axes {stored}; only t, c, z, y and x can be read")
    guessed = iter(sorted(free[:unnamed], key="tcz".index))
    return "".join(name or next(guessed) for name in names)


def read_tiff(url: str, level: Level, selection: Selection) -> np.ndarray:
    """Read a part of a level, in storage order and any byte order.

    Parameters
    ----------
    url : str
    level : Level
        As :func:`describe_tiff` returns it.
    selection : tuple of (slice or ndarray of int)
        Per stored axis, within the level; at most one entry holds indices.

    Raises
    ------
    ImageError
        If a voxel cannot be read or decoded, or the file changed after it was described.
    """
    with reading(url):
        return _open_files.read(url, level, selection)


def _warn_of_more(url: str, tiff: tifffile.TiffFile) -> None:
    """Warn of further images, except in files of slide scanners: there they are small previews."""
    if len(tiff.series) > 1 and tiff.series[0].kind in ("ome", "generic", "shaped"):
        logger.warning(
            "%s holds %d images; only the first is read", shown_url(url), len(tiff.series)
        )


def _alike(level: Any, series: Any) -> bool:
    return bool(level.axes == series.axes and level.dtype == series.dtype)


def _without_alpha(level: Any) -> tuple[int, ...]:
    """Shape of a level without the samples that state how opaque a pixel is."""
    opacity = sum(int(kind) in (1, 2) for kind in level.keyframe.extrasamples)
    return tuple(n - opacity if a == "S" else n for a, n in zip(level.axes, level.shape))


def _axis(name: str, size: dict[str, float]) -> Axis:
    axis = axis_named(name, "micrometer" if name in size else None)
    assert axis is not None
    return axis


def _scale(
    names: str, size: dict[str, float], first: Sequence[int], shape: Sequence[int]
) -> tuple[float, ...]:
    factors = level_factors(first, shape)
    return tuple(size.get(name, 1.0) * f for name, f in zip(names, factors))


def _level(path: str, shape: tuple[int, ...], stored: Any, scale: tuple[float, ...]) -> Level:
    dtype = np.dtype(stored.dtype)
    if dtype.kind not in "biuf":
        where = stored.parent.filehandle.path
        raise ImageError(f"{where} has dtype {dtype}; voxels are integers, floats or booleans")
    chunk = stored.keyframe.chunks
    chunks = tuple(map(min, (*(1,) * (len(shape) - len(chunk)), *chunk), shape))
    return Level(path, shape, chunks, None, dtype.name, scale, (0.0,) * len(shape))


class _OpenTiff:
    """An open file. Each level is opened when it is read for the first time."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._tiff = tifffile.TiffFile(url)
        self._levels: dict[str, Any] = {}

    def read(self, level: Level, selection: Selection) -> np.ndarray:
        if level.path not in self._levels:
            self._levels[level.path] = self._open_level(level)
        return np.array(self._levels[level.path][selection])

    def close(self) -> None:
        self._levels.clear()
        self._tiff.close()

    def _open_level(self, level: Level) -> Any:
        series, number = self._tiff.series[0], int(level.path)
        if number >= len(series.levels) or _without_alpha(series.levels[number]) != level.shape:
            raise ImageError(f"{self._url} is not the file that was opened; open it again")
        stored = series.levels[number]
        if stored.dataoffset is not None and not stored.is_multifile:
            return np.memmap(
                self._url,
                mode="r",
                dtype=np.dtype(self._tiff.byteorder + stored.dtype.char),
                offset=stored.dataoffset,
                shape=stored.shape,
            )
        return zarr.open_array(series.aszarr(level=number), mode="r")


class _LastFiles(LRUCache[tuple[str, int, int], _OpenTiff]):
    """Open files by path, time of the last change, and size; a file that is dropped is closed."""

    def popitem(self) -> tuple[tuple[str, int, int], _OpenTiff]:
        key, file = super().popitem()
        file.close()
        return key, file


class _OpenFiles:
    """The files read last stay open: to open a file is to go through the list of its pages."""

    def __init__(self, limit: int) -> None:
        self._files = _LastFiles(limit)
        self._lock = threading.Lock()

    def read(self, url: str, level: Level, selection: Selection) -> np.ndarray:
        # One at a time: a file must not be closed, or made to seek, while another thread reads.
        with self._lock:
            status = os.stat(url)
            key = (url, status.st_mtime_ns, status.st_size)
            if key not in self._files:
                self._files[key] = _OpenTiff(url)
            return self._files[key].read(level, selection)


_open_files = _OpenFiles(_MAX_OPEN)
