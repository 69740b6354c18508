"""A picture of a scene without a browser: the image, labels over it, and a scale bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from bigunet.errors import OptionError, OutputError
from bigunet.io.images.multiscale import ImageDescription
from bigunet.report.label_picture import tinted
from bigunet.report.overlay import write_png
from bigunet.viewing.open_scene import SceneRequest, open_scene
from bigunet.viewing.pixel_grid import PixelGrid
from bigunet.viewing.position import parse_position, voxel_at
from bigunet.viewing.scale_bar import with_scale_bar
from bigunet.viewing.scene import GreyLayer, LabelLayer, Scene
from bigunet.viewing.scene_middle import middle_of
from bigunet.viewing.zarr_view import physical_unit

DEFAULT_SIZE = 1024
_SIZES = 16, 8192
_STRENGTH = 0.35


def snapshot(
    path: str | Path,
    picture: str | Path,
    *,
    position: str = "",
    size: int = DEFAULT_SIZE,
    image: str | Path = "",
    labels: Sequence[str | Path] = (),
    field: str = "",
    axes: str = "",
) -> tuple[str, ...]:
    """Write a picture of an image and its labels as PNG, without a browser.

    Parameters
    ----------
    path : str or Path
        As for :func:`bigunet.view`.
    picture : str or Path
        A name that ends in ``.png``.
    position : str
        Voxels by axis, such as ``"x=1200,y=800"``. With a place along y or x, the picture shows
        the part around it, a pixel for each voxel; else the whole plane, or the region of an
        output with a region.
    size : int
        Pixels of the longer side.
    image, labels, field, axes
        As for :func:`bigunet.view`.

    Returns
    -------
    tuple of str
        Lines about what is not shown.

    Raises
    ------
    ImageError
        If there is nothing that can be shown.
    OptionError
        If the path, the place or the size are none.
    OutputError
        If the picture cannot be written.
    """
    target = Path(picture)
    if target.suffix.lower() != ".png":
        raise OptionError(f"--snapshot {target}: the picture is a PNG; name it .png")
    if not _SIZES[0] <= size <= _SIZES[1]:
        raise OptionError(f"--size {size}: give {_SIZES[0]} to {_SIZES[1]} pixels")
    place = parse_position(position)
    scene = open_scene(SceneRequest(path=path, image=image, labels=labels, field=field, axes=axes))
    drawn = drawn_scene(scene, position=place, size=size)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_png(target, drawn)
    except OSError as error:
        raise OutputError(
            f"cannot write {target}: {error.strerror or error}; choose a folder that can be written"
        ) from error
    return scene.notes


def drawn_scene(
    scene: Scene, *, position: Mapping[str, int], size: int = DEFAULT_SIZE
) -> np.ndarray:
    """The picture of a scene: ndarray of uint8, (y, x, 3).

    Raises
    ------
    OptionError
        If there is no such place.
    ImageError
        If the image cannot be read.
    """
    grid = _grid(scene, position, size)
    picture = np.zeros((grid.height, grid.width, 3), np.uint8)
    if scene.grey is not None:
        picture = _grey_picture(scene.grey, grid)
    for layer in scene.labels:
        picture = _labelled(picture, layer, grid)
    return with_scale_bar(picture, grid.pitch, _unit(scene.main))


def _grid(scene: Scene, position: Mapping[str, int], size: int) -> PixelGrid:
    """The pixels around a stated place, else over the part that the scene shows at first."""
    voxel = voxel_at(scene.main, middle_of(scene) | dict(position))
    if {"y", "x"} & set(position):
        return PixelGrid.around(scene.main, voxel, size=size)
    whole = PixelGrid.over(scene.main, voxel, size=size)
    if scene.part is None:
        return whole
    part = PixelGrid.over(scene.part, voxel_at(scene.part, {}), size=size)
    return replace(part, place=whole.place)


def _grey_picture(layer: GreyLayer, grid: PixelGrid) -> np.ndarray:
    """The channels added like light, each in its colour."""
    if not layer.looks:
        return np.stack([_byte(grid.voxels(layer.image, k)) for k in range(3)], axis=2)
    light = np.zeros((grid.height, grid.width, 3))
    for channel, look in enumerate(layer.looks):
        if look.shown:
            low, high = look.window
            values = np.nan_to_num(grid.voxels(layer.image, channel).astype(np.float64))
            share = np.clip((values - low) / (high - low), 0, 1)
            light += share[..., np.newaxis] * colour_of(look.colour)
    return np.clip(light, 0, 255).round().astype(np.uint8)


def _byte(colour: np.ndarray) -> np.ndarray:
    """The values of a colour from 0 to 255: the largest whole number of their type is 255."""
    if colour.dtype == np.uint8:
        return colour
    top = np.iinfo(colour.dtype).max if colour.dtype.kind in "iu" else 1
    share = np.clip(np.nan_to_num(colour.astype(np.float64)) / top, 0, 1)
    return (share * 255).round().astype(np.uint8)


def _labelled(picture: np.ndarray, layer: LabelLayer, grid: PixelGrid) -> np.ndarray:
    values, inverse = np.unique(grid.voxels(layer.image), return_inverse=True)
    colours = [
        colour_of(layer.values[int(v)].colour) if int(v) in layer.values else id_colour(int(v))
        for v in values
    ]
    # The first colour is that of the background, which stays without a tint.
    places = np.where(values > 0, np.arange(1, len(values) + 1), 0)[inverse]
    table = [(0, 0, 0), *colours]
    return tinted(picture, places.reshape(picture.shape[:2]), table, _STRENGTH)


def colour_of(digits: str) -> tuple[int, int, int]:
    """Red, green and blue of six hexadecimal digits.

    >>> colour_of("FF8000")
    (255, 128, 0)
    """
    red, green, blue = (int(digits[k : k + 2], 16) for k in (0, 2, 4))
    return red, green, blue


def id_colour(number: int) -> tuple[int, int, int]:
    """A bright colour of an object, the same in each picture; near numbers have other hues."""
    hue = number * 0.618033988749895 % 1 * 6
    ramps = (abs(hue - 3) - 1, 2 - abs(hue - 2), 2 - abs(hue - 4))
    red, green, blue = (round(255 * (0.25 + 0.75 * min(max(r, 0), 1))) for r in ramps)
    return red, green, blue


def _unit(image: ImageDescription) -> str:
    """The unit of the length of a pixel, for people."""
    return "µm" if physical_unit(image, "x")[1] else "px"
