"""The levels of an image: where they are stored, their sizes and places, the largest first."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import zarr

from bigunet.errors import ImageError
from bigunet.io.images import ngff
from bigunet.io.images.axes import axis_letter
from bigunet.io.images.limits import MAX_CHANNELS, MAX_LEVELS, check_count, check_extents, some_of
from bigunet.io.images.multiscale import Axis, Level
from bigunet.io.stores.access import join_url, open_array, reading, shown_url

_TRANSFORMS = "coordinateTransformations"


@dataclass(frozen=True, slots=True)
class _Stored:
    """A level as it is listed: its path, its array, and what is said of it."""

    path: str
    array: zarr.Array[Any]
    dataset: dict[str, Any]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape


def read_levels(
    url: str, multiscale: dict[str, Any], axes: tuple[Axis, ...]
) -> tuple[tuple[Level, ...], tuple[str, ...]]:
    """All levels of an image, the largest first, and notes of how they were put in order.

    One without a scale gets the first one's, times how much it is smaller.

    Raises
    ------
    ImageError
        If there is none, one is missing or no array of voxels, or of two levels neither is the
        larger one.
    """
    listed = _stored_levels(url, multiscale, axes)
    if not listed:
        raise ImageError(f"{url}: datasets is empty, so the image has no levels")
    stored = sorted(listed, key=lambda level: -math.prod(level.shape))
    _check_nested(url, stored, axes)
    ndim = len(axes)
    stated = ngff.parse_transforms(multiscale.get(_TRANSFORMS), ndim, f"{url}: {_TRANSFORMS}")
    outer_scale, outer_translation = stated[0] or (1.0,) * ndim, stated[1]
    first_scale = (1.0,) * ndim
    levels: list[Level] = []
    for level in stored:
        where = f"{url}: {level.path}: {_TRANSFORMS}"
        scale, offset = ngff.parse_transforms(level.dataset.get(_TRANSFORMS), ndim, where)
        if scale is None:
            factors = ngff.level_factors(stored[0].shape, level.shape)
            scale = tuple(a * f for a, f in zip(first_scale, factors))
        if not levels:
            first_scale = scale
        total = tuple(a * f for a, f in zip(scale, outer_scale))
        translation = tuple(t * f + o for t, f, o in zip(offset, outer_scale, outer_translation))
        _check_place(where, total, translation)
        levels.append(level_of(level.path, level.array, total, translation))
    return tuple(levels), _notes(url, listed, stored)


def _check_place(where: str, scale: Sequence[float], translation: Sequence[float]) -> None:
    """Raise ImageError where transformations together are beyond what floats hold."""
    if not all(math.isfinite(n) for n in (*scale, *translation)) or min(scale) <= 0:
        raise ImageError(
            f"{where}: all together are the scale {tuple(scale)} and the translation "
            f"{tuple(translation)}, which are no places; correct them"
        )


def level_of(
    path: str,
    array: zarr.Array[Any],
    scale: tuple[float, ...],
    translation: tuple[float, ...],
) -> Level:
    """Describe an array as a level."""
    dtype = np.dtype(array.dtype).name
    return Level(path, array.shape, array.chunks, array.shards, dtype, scale, translation)


def check_array(url: str, array: zarr.Array[Any], axes: tuple[Axis, ...]) -> None:
    """Raise ImageError if an array does not hold voxels along these axes."""
    if array.ndim != len(axes):
        names = ", ".join(axis.name for axis in axes)
        raise ImageError(
            f"{url} has {array.ndim} dimensions {array.shape}, but the image has "
            f"{len(axes)} axes {names}; state them with --axes if the image does not"
        )
    check_extents(array.shape, url)
    with reading(url):
        dtype, chunks, shards = np.dtype(array.dtype), array.chunks, array.shards
    check_extents((*chunks, *(shards or ())), f"{url}, chunks")
    if dtype.kind not in "biuf":
        raise ImageError(f"{url} has dtype {dtype}; voxels are integers, floats or booleans")
    if 0 in array.shape or 0 in chunks:
        raise ImageError(f"{url} has shape {array.shape} in chunks of {chunks}, so no voxels")
    check_count(num_channels(axes, array.shape), MAX_CHANNELS, url, "channels")


def num_channels(axes: tuple[Axis, ...], shape: Sequence[int]) -> int:
    """Voxels along the channel axis; 1 where there is none."""
    return next((size for axis, size in zip(axes, shape) if axis.name == "c"), 1)


def _stored_levels(url: str, multiscale: dict[str, Any], axes: tuple[Axis, ...]) -> list[_Stored]:
    """Each dataset, in the order listed."""
    datasets = ngff.parse_list(multiscale.get("datasets"), f"{url}: datasets")
    check_count(len(datasets), MAX_LEVELS, f"{url}: datasets", "levels")
    stored = []
    for k, item in enumerate(datasets):
        dataset = ngff.parse_object(item, f"{url}: datasets[{k}]")
        path = ngff.parse_path(dataset.get("path"), f"{url}: datasets[{k}].path")
        array = open_array(url, path)
        check_array(join_url(url, path), array, axes)
        _check_names(join_url(url, path), array, axes)
        stored.append(_Stored(path, array, dataset))
    return stored


def _check_names(url: str, array: zarr.Array[Any], axes: tuple[Axis, ...]) -> None:
    """Raise ImageError where all names stored with an array are clear, and are other axes."""
    names = getattr(array.metadata, "dimension_names", None) or ()
    letters = [axis_letter(name) if isinstance(name, str) else None for name in names]
    wanted = [axis.name for axis in axes]
    if sorted(map(str, letters)) == sorted(wanted) and letters != wanted:
        raise ImageError(
            f"{url} has dimension_names {', '.join(map(str, names))}, but the image has the axes "
            f"{', '.join(wanted)}: correct one of them"
        )


def _check_nested(url: str, stored: Sequence[_Stored], axes: tuple[Axis, ...]) -> None:
    """Raise ImageError unless each level is at most as large as the one before, on every axis."""
    for large, small in itertools.pairwise(stored):
        if any(a < b for a, b in zip(large.shape, small.shape)):
            raise ImageError(
                f"{url}: of the levels {large.path!r} {large.shape} and {small.path!r} "
                f"{small.shape} neither is the larger on every axis; give one of these arrays"
            )
        if num_channels(axes, large.shape) != num_channels(axes, small.shape):
            raise ImageError(
                f"{url}: level {large.path!r} {large.shape} and level {small.path!r} "
                f"{small.shape} differ in channels; give one of these arrays"
            )


def _notes(url: str, listed: Sequence[_Stored], stored: Sequence[_Stored]) -> tuple[str, ...]:
    if list(listed) == list(stored):
        return ()
    told, taken = (
        some_of((level.path for level in levels), len(levels)) for levels in (listed, stored)
    )
    place = shown_url(url)
    return (f"{place} lists its levels as {told}; by size, level 0 first, they are {taken}",)
