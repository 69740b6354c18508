"""An image of any format as a zarr 3 for a viewer: it makes each key when a viewer reads it."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bigunet.geometry import Box, Point, ceil_div
from bigunet.io.files.opening import open_level
from bigunet.io.images.array_reader import ArrayReader
from bigunet.io.images.multiscale import ImageDescription
from bigunet.io.images.units import to_seconds, to_um

COLOURS_AXIS = "c^"
"""The axis of colours, by the name with which neuroglancer gives them to its shader."""

_PLANE, _CUBE = 512, 64
_CHUNK_KEY = re.compile(r"(\d{1,3})/c((?:/\d{1,12})+)", re.ASCII)
_ARRAY_KEY = re.compile(r"(\d{1,3})/zarr\.json", re.ASCII)
_VIEWED = {"bool": "uint8", "float16": "float32", "float64": "float32"}


@dataclass(frozen=True)
class ZarrView:
    """Some channels of an image as a zarr 3 with metadata of OME-Zarr 0.5, without compression.

    Its axes are t, z, y, x as far as the image has them; in front is the axis of the colours,
    where there are several channels. A viewer reads the voxels chunk by chunk with :meth:`get`.

    Parameters
    ----------
    image : ImageDescription
    channels : tuple of int, optional
        One channel, or several that are colours of one picture.
    is_label : bool, optional
        Whether the voxels are numbers of classes or objects, which stay whole numbers.
    """

    image: ImageDescription
    channels: tuple[int, ...] = (0,)
    is_label: bool = False
    _readers: dict[int, ArrayReader] = field(default_factory=dict, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the voxels that the viewer gets."""
        return viewed_type(self.image.levels[0].dtype, is_label=self.is_label)

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the axes, in the order of the chunks' indices."""
        colours = (COLOURS_AXIS,) if len(self.channels) > 1 else ()
        return colours + self.image.volume_axes

    def get(self, key: str) -> bytes | None:
        """The bytes of a key; None if the array has no such key.

        Raises
        ------
        ImageError
            If the image cannot be read.
        """
        if key == "zarr.json":
            return _json({"zarr_format": 3, "node_type": "group", "attributes": self._attributes()})
        array = _ARRAY_KEY.fullmatch(key)
        if array is not None:
            level = int(array[1])
            return _json(self._array(level)) if level < len(self.image.levels) else None
        chunk = _CHUNK_KEY.fullmatch(key)
        if chunk is None:
            return None
        index = tuple(map(int, chunk[2].strip("/").split("/")))
        return self._chunk(int(chunk[1]), index)

    def chunk_shape(self, level: int) -> Point:
        """Shape of a chunk: squares of planes that are stored one by one, else cubes."""
        shape, chunks = self.image.volume_shape(level), self.image.volume_chunks(level)
        axes = self.image.volume_axes
        z = axes.index("z") if "z" in axes else None
        is_deep = z is not None and shape[z] > 1 and chunks[z] > 1
        lengths = {"z": _CUBE if is_deep else 1, "t": 1}
        side = _CUBE if is_deep else _PLANE
        volume = tuple(min(lengths.get(axis, side), n) for axis, n in zip(axes, shape))
        return self._with_colours(volume)

    def _with_colours(self, volume: Point) -> Point:
        return ((len(self.channels),) if len(self.channels) > 1 else ()) + volume

    def _chunk(self, level: int, index: Point) -> bytes | None:
        if level >= len(self.image.levels) or len(index) != len(self.axes):
            return None
        shape = self._with_colours(self.image.volume_shape(level))
        chunk = self.chunk_shape(level)
        if any(k >= ceil_div(n, m) for k, n, m in zip(index, shape, chunk)):
            return None
        start = tuple(k * m for k, m in zip(index, chunk))
        inside = Box(start, tuple(min(a + m, n) for a, m, n in zip(start, chunk, shape)))
        result = np.zeros(chunk, self.dtype.newbyteorder("<"))
        part = inside.within(Box(start, tuple(a + m for a, m in zip(start, chunk))))
        result[part] = self._voxels(level, inside)
        return result.tobytes()

    def _voxels(self, level: int, box: Box) -> np.ndarray:
        """The voxels of a box that has the axis of the colours, if there is one."""
        several = len(self.channels) > 1
        read = self._reader(level).read(Box(box.start[several:], box.stop[several:]))
        return viewed(read if several else read[0], self.dtype)

    def _reader(self, level: int) -> ArrayReader:
        with self._lock:
            if level not in self._readers:
                self._readers[level] = open_level(self.image, level=level, channels=self.channels)
            return self._readers[level]

    def _array(self, level: int) -> dict[str, Any]:
        return {
            "zarr_format": 3,
            "node_type": "array",
            "shape": list(self._with_colours(self.image.volume_shape(level))),
            "data_type": self.dtype.name,
            "chunk_grid": {
                "name": "regular",
                "configuration": {"chunk_shape": list(self.chunk_shape(level))},
            },
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
            "fill_value": 0,
            "dimension_names": list(self.axes),
            "attributes": {},
        }

    def _attributes(self) -> dict[str, Any]:
        datasets = []
        for level in range(len(self.image.levels)):
            scale, translation = placement(self.image, level)
            steps = [
                {"type": "scale", "scale": self._per_axis(scale, 1.0)},
                {"type": "translation", "translation": self._per_axis(translation, 0.0)},
            ]
            datasets.append({"path": str(level), "coordinateTransformations": steps})
        axes = [_axis(self.image, name) for name in self.axes]
        multiscale = {"name": self.image.name, "axes": axes, "datasets": datasets}
        return {"ome": {"version": "0.5", "multiscales": [multiscale]}}

    def _per_axis(self, values: Sequence[float], colours: float) -> list[float]:
        return [colours] * (len(self.channels) > 1) + list(values)


def viewed_type(dtype: str, *, is_label: bool) -> np.dtype[Any]:
    """The type in which a viewer gets voxels: it knows no booleans, and no floats but float32.

    Labels become unsigned.
    """
    stored = np.dtype(dtype)
    if stored.kind == "i" and is_label:
        return np.dtype(f"uint{8 * stored.itemsize}")
    if stored == np.int64:
        return np.dtype(np.float32)
    return np.dtype(_VIEWED.get(stored.name, stored.name))


def viewed(voxels: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """Voxels in the type in which a viewer gets them; negative labels become 0."""
    if voxels.dtype.kind == "i" and dtype.kind == "u":
        voxels = np.maximum(voxels, 0)
    return voxels.astype(dtype)


def physical_unit(image: ImageDescription, axis: str) -> tuple[float, str]:
    """Metres or seconds in one unit of an axis, with ``"m"`` or ``"s"``; else 1 and no unit."""
    unit = None if axis == COLOURS_AXIS else image.unit(axis)
    um, seconds = to_um(unit), to_seconds(unit)
    if axis == "t" and seconds is not None:
        return seconds, "s"
    if axis != "t" and um is not None:
        return um * 1e-6, "m"
    return 1.0, ""


def placement(image: ImageDescription, level: int) -> tuple[list[float], list[float]]:
    """Size of a voxel, and centre of voxel 0, along the volume axes.

    In micrometres and seconds where the image states units, else as the image states them.
    """
    factors = []
    for axis in image.volume_axes:
        factor, unit = physical_unit(image, axis)
        factors.append(factor * 1e6 if unit == "m" else factor)
    scale = [a * f for a, f in zip(image.volume_scale(level), factors)]
    translation = [a * f for a, f in zip(image.volume_translation(level), factors)]
    return scale, translation


def _axis(image: ImageDescription, name: str) -> dict[str, str]:
    """The entry of an axis. That of the colours has no type, so that its name stays."""
    if name == COLOURS_AXIS:
        return {"name": name}
    word = {"m": "micrometer", "s": "second", "": ""}[physical_unit(image, name)[1]]
    kind = "time" if name == "t" else "space"
    return {"name": name, "type": kind} | ({"unit": word} if word else {})


def _json(content: dict[str, Any]) -> bytes:
    return json.dumps(content).encode()
