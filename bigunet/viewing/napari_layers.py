"""The layers of a scene for napari, as its readers give them: data, keywords, kind."""

from __future__ import annotations

from typing import Any

import numpy as np
from dask import array as dask_array

from bigunet.geometry import Box
from bigunet.io.files.opening import open_level
from bigunet.io.images.array_reader import ArrayReader
from bigunet.io.images.multiscale import ImageDescription
from bigunet.measuring.table_reading import read_table
from bigunet.viewing.scene import GreyLayer, LabelLayer, Scene
from bigunet.viewing.snapshot import colour_of
from bigunet.viewing.zarr_view import physical_unit, placement

LayerData = tuple[Any, dict[str, Any], str]
_OPACITY = 0.5
_PLANE, _CUBE = 1024, 128


class LazyLevel:
    """A level of an image as an array of which parts are read when they are needed.

    Parameters
    ----------
    image : ImageDescription
    level : int
    channels : tuple of int
        One channel; or several, which then are the last axis.
    """

    def __init__(self, image: ImageDescription, level: int, channels: tuple[int, ...]) -> None:
        self._reader: ArrayReader = open_level(image, level=level, channels=channels)
        self._several = len(channels) > 1
        self.shape = self._reader.shape + ((len(channels),) if self._several else ())
        self.dtype = self._reader.dtype
        self.ndim = len(self.shape)

    def __getitem__(self, parts: tuple[int | slice, ...]) -> np.ndarray:
        """The voxels of an index or a slice for each axis, as of an array of numpy."""
        ranges = [_indices(part, n) for part, n in zip(parts, self._reader.shape)]
        start = tuple(min(one, default=0) for one in ranges)
        stop = tuple(max(one, default=-1) + 1 for one in ranges)
        read = self._reader.read(Box(start, stop))
        voxels = np.moveaxis(read, 0, -1) if self._several else read[0]
        inside = tuple(
            slice(None, None, one.step) if isinstance(part, slice) else 0
            for part, one in zip(parts, ranges)
        )
        return np.asarray(voxels[inside + tuple(parts[len(ranges) :])])


def _indices(part: int | slice, length: int) -> range:
    """The voxels along an axis that an index or a slice means."""
    if isinstance(part, slice):
        return range(length)[part]
    place = range(length)[part]
    return range(place, place + 1)


def napari_layers(scene: Scene) -> list[LayerData]:
    """All layers of a scene, from the image to the labels; probabilities are hidden.

    Raises
    ------
    BigUNetError
        If the table of the objects cannot be read.
    """
    layers = [] if scene.grey is None else grey_layers_of(scene.grey)
    if scene.probabilities is not None:
        shares = grey_layers_of(scene.probabilities)
        layers += [
            (data, keywords | {"name": f"P({keywords['name']})", "visible": False}, kind)
            for data, keywords, kind in shares
        ]
    return layers + [label_layer_of(layer) for layer in scene.labels]


def grey_layers_of(layer: GreyLayer) -> list[LayerData]:
    """A layer for each channel, or one in colours."""
    image = layer.image
    if not layer.looks:
        keywords = {"name": image.name or "image", "rgb": True, **_place(image)}
        return [(lazy_levels(image, (0, 1, 2)), keywords, "image")]
    layers: list[LayerData] = []
    for channel, look in enumerate(layer.looks):
        colour = [part / 255 for part in colour_of(look.colour)]
        keywords = {
            "name": look.name,
            "contrast_limits": look.window,
            "colormap": {"colors": [[0, 0, 0], colour], "name": f"#{look.colour}"},
            "blending": "additive",
            "visible": look.shown,
            **_place(image),
        }
        layers.append((lazy_levels(image, (channel,)), keywords, "image"))
    return layers


def label_layer_of(layer: LabelLayer) -> LayerData:
    """A layer of labels, with the colours and names of classes, or the values of objects."""
    keywords: dict[str, Any] = {"name": layer.name, "opacity": _OPACITY, **_place(layer.image)}
    if layer.values:
        # Napari gives whatever has no colour of its own the colour of None.
        colours: dict[int | None, Any] = {None: (0, 0, 0, 0), 0: (0, 0, 0, 0)}
        for value, look in layer.values.items():
            if value:
                colours[value] = (*(part / 255 for part in colour_of(look.colour)), 1.0)
        keywords["colormap"] = colours
        names = [look.name for look in layer.values.values()]
        keywords["features"] = {"index": list(layer.values), "name": names}
    elif layer.table is not None:
        columns = read_table(layer.table)
        keywords["features"] = {"index": columns.pop("label"), **columns}
    return lazy_levels(layer.image, (0,)), keywords, "labels"


def lazy_levels(image: ImageDescription, channels: tuple[int, ...]) -> Any:
    """The levels of an image as arrays of Dask that read when they are looked at."""
    levels = [LazyLevel(image, number, channels) for number in range(len(image.levels))]
    arrays = [
        dask_array.from_array(
            level, chunks=_chunks(image, level.shape), name=False, asarray=False, fancy=False,
            meta=np.empty((0,) * level.ndim, level.dtype),
        )
        for level in levels
    ]  # fmt: skip
    return arrays if len(arrays) > 1 else arrays[0]


def _chunks(image: ImageDescription, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Planes of a moderate size, or cubes where the image is stored in blocks of planes."""
    axes = image.volume_axes
    is_deep = "z" in axes and image.volume_chunks()[axes.index("z")] > 1
    side = _CUBE if is_deep else _PLANE
    lengths = {"t": 1, "z": side if is_deep else 1}
    volume = [min(n, lengths.get(axis, side)) for axis, n in zip(axes, shape)]
    return (*volume, *shape[len(axes) :])


def _place(image: ImageDescription) -> dict[str, Any]:
    """Scale, translation and units of level 0, in napari's words."""
    scale, translation = placement(image, 0)
    words = {"m": "micrometer", "s": "second", "": "pixel"}
    units = [words[physical_unit(image, axis)[1]] for axis in image.volume_axes]
    labels = list(image.volume_axes)
    return {"scale": scale, "translate": translation, "units": units, "axis_labels": labels}
