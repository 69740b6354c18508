"""The levels of an image, the largest first: their arrays, scales and translations."""

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
from bigunet.stores.access import join_url, open_array, reading, shown_url

_TRANSFORMS = "coordinateTransformations"


@dataclass(frozen=True, slots=True)
class _Stored:
    """A level that the metadata list: its path, its array, and its entry in the list."""

    path: str
    array: zarr.Array[Any]
    dataset: dict[str, Any]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape


def read_levels(
    url: str, multiscale: dict[str, Any], axes: tuple[Axis, ...]
) -> tuple[tuple[Level, ...], tuple[str, ...]]:
    """Read all levels of an image, the largest first, and notes about their order and sizes.

    A level without a scale gets the scale of the first level, times the factor between their
    shapes.

    Raises
    ------
    ImageError
        If there is no level, if a level is missing or is no array of voxels, or if neither of two
        levels is the larger one on every axis.
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
    notes = _notes(url, listed, stored)
    levels: list[Level] = []
    for level in stored:
        where = f"{url}: {level.path}: {_TRANSFORMS}"
        scale, offset = ngff.parse_transforms(level.dataset.get(_TRANSFORMS), ndim, where)
        if scale is None:
            if not levels and stated[0] is None:
                notes += _unknown_sizes(url, axes)
            factors = ngff.level_factors(stored[0].shape, level.shape)
            scale = tuple(a * f for a, f in zip(first_scale, factors))
        if not levels:
            first_scale = scale
        total = tuple(a * f for a, f in zip(scale, outer_scale))
        translation = tuple(t * f + o for t, f, o in zip(offset, outer_scale, outer_translation))
        _check_place(where, total, translation)
        levels.append(level_of(level.path, level.array, total, translation))
    return tuple(levels), notes


def _check_place(where: str, scale: Sequence[float], translation: Sequence[float]) -> None:
    """Raise an ImageError if all transformations together give no finite scale and translation."""
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
    """Describe an array as a level of an image."""
    dtype = np.dtype(array.dtype).name
    return Level(path, array.shape, array.chunks, array.shards, dtype, scale, translation)


def check_array(url: str, array: zarr.Array[Any], axes: tuple[Axis, ...]) -> None:
    """Raise an ImageError if an array does not hold voxels along these axes."""
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
    """Number of channels; 1 if there is no channel axis."""
    return next((size for axis, size in zip(axes, shape) if axis.name == "c"), 1)


def _stored_levels(url: str, multiscale: dict[str, Any], axes: tuple[Axis, ...]) -> list[_Stored]:
    """The levels in the order in which the metadata list them."""
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
    """Raise an ImageError if the array names the axes of the image in another order."""
    names = getattr(array.metadata, "dimension_names", None) or ()
    letters = [axis_letter(name) if isinstance(name, str) else None for name in names]
    expected = [axis.name for axis in axes]
    if sorted(map(str, letters)) == sorted(expected) and letters != expected:
        raise ImageError(
            f"{url} has dimension_names {', '.join(map(str, names))}, but the image has the axes "
            f"{', '.join(expected)}: correct one of them"
        )


def _check_nested(url: str, stored: Sequence[_Stored], axes: tuple[Axis, ...]) -> None:
    """Raise an ImageError if a level is larger than the one before it on any axis."""
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


def _unknown_sizes(url: str, axes: tuple[Axis, ...]) -> tuple[str, ...]:
    """A note that an image with units states no scale; without units nothing is taken for known."""
    units = {axis.unit for axis in axes if axis.type == "space" and axis.unit}
    if not units:
        return ()
    named = " or ".join(sorted(units))
    return (f"{shown_url(url)} states no scale: its voxels are taken as 1 {named} long",)


def _notes(url: str, listed: Sequence[_Stored], stored: Sequence[_Stored]) -> tuple[str, ...]:
    """A note if the metadata do not list the levels by size."""
    if list(listed) == list(stored):
        return ()
    before, after = (
        some_of((level.path for level in levels), len(levels)) for levels in (listed, stored)
    )
    place = shown_url(url)
    return (f"{place} lists its levels as {before}; by size, level 0 first, they are {after}",)
