"""Finding the image at a path or URL, whatever wrote it; metadata only, no voxel is read.

The JSON is read by :mod:`bigunet.io.ngff`, the stores by :mod:`bigunet.io.access`.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from bigunet.errors import ImageError
from bigunet.io import ngff
from bigunet.io.access import (
    find_node,
    join_url,
    normal_url,
    open_array,
    reading,
    shown_url,
)
from bigunet.io.groups import (
    existing_node,
    group_metadata,
    numbered_nodes,
    ome_metadata,
    only_series,
)
from bigunet.io.inside import images_inside
from bigunet.io.multiscale import Axis, Level, Multiscale

logger = logging.getLogger(__name__)

_BARE_AXES = {2: "yx", 3: "zyx", 4: "czyx", 5: "tczyx"}
_BF2RAW = "bioformats2raw.layout"
_NUM_EXAMPLES = 3
_NUM_WELLS_TRIED = 12


def open_multiscale(url: str | Path) -> Multiscale:
    """Describe the image at ``url``.

    Parameters
    ----------
    url : str or Path
        An OME-Zarr image (0.1 to 0.5), a bioformats2raw root with one series, a group inside
        either, or a bare zarr array; local, or a URL that fsspec knows.

    Raises
    ------
    ImageError
        If there is no image, more than one, or one that cannot be read.
    """
    url = normal_url(url)
    node = existing_node(url)
    if isinstance(node, zarr.Array):
        return _bare_array(url, node)
    found = ome_metadata(url, node)
    if "multiscales" in found:
        return _image(url, node, found)
    if "plate" in found or "well" in found:
        kind = "plate" if "plate" in found else "well"
        wells = _wells(url, found)[:_NUM_WELLS_TRIED]
        fields = itertools.islice(_fields(url, wells, found), _NUM_EXAMPLES)
        examples = ", ".join(join_url(url, field) for field in fields) or "none was found"
        raise ImageError(f"{url} is a {kind}, not one image; give one of its fields: {examples}")
    if _BF2RAW in found:
        series = join_url(url, only_series(url))
        return _image(series, *group_metadata(series))
    if "labels" in found:
        names = ngff.parse_list(found["labels"], f"{url}: labels")
        examples = ", ".join(join_url(url, str(name)) for name in names[:_NUM_EXAMPLES])
        raise ImageError(f"{url} holds labels; give one of them: {examples or 'none is listed'}")
    raise ImageError(_without_image(url))


def _without_image(url: str) -> str:
    """What a group holds that could be given instead of it."""
    images, arrays = images_inside(url, _NUM_EXAMPLES)
    what = f"{url} is a zarr group without multiscales"
    if images or arrays:
        kind = "images" if images else "arrays"
        return f"{what}; give one of the {kind} inside: {', '.join(images or arrays)}"
    return f"{what}; give an image or array inside it"


def is_plate(url: str | Path) -> bool:
    """Whether a plate or a well is stored at ``url``; False where nothing can be read."""
    try:
        _, found = group_metadata(normal_url(url))
    except ImageError:
        return False
    return "multiscales" not in found and ("plate" in found or "well" in found)


def plate_fields(url: str | Path) -> list[str]:
    """Paths of all fields of a plate or well, relative to it, in the order that it lists them.

    Wells that are listed and not stored are left out, with a warning in the log.

    Raises
    ------
    ImageError
        If ``url`` is neither a plate nor a well, or its metadata cannot be read.
    """
    url = normal_url(url)
    _, found = group_metadata(url)
    if "plate" not in found and "well" not in found:
        raise ImageError(f"{url} is neither a plate nor a well, so it has no fields")
    wells = _wells(url, found)
    stored = [well for well in wells if not well or find_node(url, well) is not None]
    if len(stored) < len(wells):
        missing = sorted(set(wells) - set(stored))
        logger.warning(
            "%s lists %d wells that are not stored, the first %s",
            shown_url(url),
            len(missing),
            missing[0],
        )
    return list(_fields(url, stored, found))


def _image(url: str, group: zarr.Group, found: dict[str, Any]) -> Multiscale:
    listed = ngff.parse_list(found["multiscales"], f"{url}: multiscales")
    if not listed:
        raise ImageError(f"{url}: multiscales is empty")
    first = ngff.parse_object(listed[0], f"{url}: multiscales[0]")
    stated = found.get("version") or first.get("version") or "0.4"
    version = ngff.parse_version(stated, f"{url}: version")
    axes = ngff.parse_axes(first.get("axes"), f"{url}: axes")
    levels = _levels(url, first, axes)
    if not levels:
        raise ImageError(f"{url}: datasets is empty, so the image has no levels")
    channels = _num_channels(axes, levels[0].shape)
    return Multiscale(
        url=url,
        version=version,
        zarr_format=group.metadata.zarr_format,
        name=_name(url, first.get("name")),
        axes=axes,
        levels=levels,
        channel_names=ngff.parse_channel_names(found.get("omero"), channels),
        is_label="image-label" in found,
    )


def _levels(url: str, multiscale: dict[str, Any], axes: tuple[Axis, ...]) -> tuple[Level, ...]:
    """All levels; one without a scale gets the first one's, times how much it is smaller."""
    key = "coordinateTransformations"
    ndim = len(axes)
    stored = _stored_levels(url, multiscale, axes)
    stated = ngff.parse_transforms(multiscale.get(key), ndim, f"{url}: {key}")
    outer_scale, outer_translation = stated[0] or (1.0,) * ndim, stated[1]
    first_scale = (1.0,) * ndim
    levels: list[Level] = []
    for path, array, dataset in stored:
        scale, offset = ngff.parse_transforms(dataset.get(key), ndim, f"{url}: {path}: {key}")
        if scale is None:
            factors = ngff.level_factors(stored[0][1].shape, array.shape)
            scale = tuple(a * f for a, f in zip(first_scale, factors))
        if not levels:
            first_scale = scale
        total = tuple(a * f for a, f in zip(scale, outer_scale))
        translation = tuple(t * f + o for t, f, o in zip(offset, outer_scale, outer_translation))
        levels.append(_level(path, array, total, translation))
    return tuple(levels)


def _stored_levels(
    url: str, multiscale: dict[str, Any], axes: tuple[Axis, ...]
) -> list[tuple[str, zarr.Array[Any], dict[str, Any]]]:
    """Path, array and description of each dataset, in the order listed."""
    stored = []
    for k, item in enumerate(ngff.parse_list(multiscale.get("datasets"), f"{url}: datasets")):
        dataset = ngff.parse_object(item, f"{url}: datasets[{k}]")
        path = ngff.parse_path(dataset.get("path"), f"{url}: datasets[{k}].path")
        array = open_array(url, path)
        _check_array(join_url(url, path), array, axes)
        stored.append((path, array, dataset))
    return stored


def _bare_array(url: str, array: zarr.Array[Any]) -> Multiscale:
    names = getattr(array.metadata, "dimension_names", None) or ()
    named = [ngff.axis_named(str(name)) for name in names]
    axes = tuple(axis for axis in named if axis is not None)
    letters = {axis.name for axis in axes}
    if not len(letters) == len(axes) == array.ndim or not {"y", "x"} <= letters:
        if array.ndim not in _BARE_AXES:
            raise ImageError(f"{url}: an array of shape {array.shape} has not 2 to 5 dimensions")
        axes = ngff.parse_axes(list(_BARE_AXES[array.ndim]), url)
    _check_array(url, array, axes)
    level = _level("", array, (1.0,) * array.ndim, (0.0,) * array.ndim)
    return Multiscale(
        url=url,
        version="",
        zarr_format=array.metadata.zarr_format,
        name=_name(url, None),
        axes=axes,
        levels=(level,),
        channel_names=ngff.parse_channel_names(None, _num_channels(axes, array.shape)),
        is_label=False,
    )


def _check_array(url: str, array: zarr.Array[Any], axes: tuple[Axis, ...]) -> None:
    if array.ndim != len(axes):
        names = ", ".join(axis.name for axis in axes)
        raise ImageError(
            f"{url} has {array.ndim} dimensions {array.shape}, but the image has "
            f"{len(axes)} axes {names}"
        )
    with reading(url):
        dtype, chunks, _ = np.dtype(array.dtype), array.chunks, array.shards
    if dtype.kind not in "biuf":
        raise ImageError(f"{url} has dtype {dtype}; voxels are integers, floats or booleans")
    if 0 in array.shape or 0 in chunks:
        raise ImageError(f"{url} has shape {array.shape} in chunks of {chunks}, so no voxels")


def _level(
    path: str,
    array: zarr.Array[Any],
    scale: tuple[float, ...],
    translation: tuple[float, ...],
) -> Level:
    dtype = np.dtype(array.dtype).name
    return Level(path, array.shape, array.chunks, array.shards, dtype, scale, translation)


def _num_channels(axes: tuple[Axis, ...], shape: Sequence[int]) -> int:
    return next((size for axis, size in zip(axes, shape) if axis.name == "c"), 1)


def _name(url: str, stated: object) -> str:
    if isinstance(stated, str) and stated.strip("/ "):
        return stated
    name = shown_url(url).rsplit("/", 1)[-1]
    for suffix in (".zip", ".ozx", ".zarr", ".ome"):
        name = name.removesuffix(suffix)
    return name


def _wells(url: str, found: dict[str, Any]) -> list[str]:
    """Paths of the wells that a plate lists; of a well, the empty path to itself."""
    if "plate" not in found:
        return [""]
    plate = ngff.parse_object(found["plate"], f"{url}: plate")
    wells = []
    for k, item in enumerate(ngff.parse_list(plate.get("wells"), f"{url}: wells")):
        well = ngff.parse_object(item, f"{url}: wells[{k}]")
        wells.append(ngff.parse_path(well.get("path"), f"{url}: wells[{k}].path"))
    return wells


def _fields(url: str, wells: Sequence[str], found: dict[str, Any]) -> Iterator[str]:
    """Paths of the fields of those wells that are stored."""
    for well in wells:
        if not well:
            yield from _well_fields(url, found)
        elif find_node(url, well) is not None:
            place = join_url(url, well)
            _, metadata = group_metadata(place)
            yield from (f"{well}/{field}" for field in _well_fields(place, metadata))


def _well_fields(url: str, found: dict[str, Any]) -> Iterator[str]:
    if "well" not in found:  # some writers describe the plate only and number its fields
        yield from numbered_nodes(url)
        return
    well = ngff.parse_object(found["well"], f"{url}: well")
    for k, item in enumerate(ngff.parse_list(well.get("images"), f"{url}: images")):
        image = ngff.parse_object(item, f"{url}: images[{k}]")
        yield ngff.parse_path(image.get("path"), f"{url}: images[{k}].path")
