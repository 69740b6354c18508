"""The JSON of OME-Zarr: versions, axes, transformations and channels. It opens no file.

Every function takes a JSON value of any type, and ``where``, the name of the value in an error.
"""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Sequence
from typing import Any

from bigunet.errors import ImageError
from bigunet.io.images.axes import LETTERS, axis_named
from bigunet.io.images.limits import MAX_TRANSFORMS, check_count
from bigunet.io.images.multiscale import Axis

KNOWN_VERSIONS = ("0.1", "0.2", "0.3", "0.4", "0.5", "0.6")

_VERSION = re.compile(r"(0\.[1-6])(?!\d)")


def parse_object(value: object, where: str) -> dict[str, Any]:
    """Return ``value`` if it is a JSON object, else raise an ImageError."""
    if not isinstance(value, dict):
        raise ImageError(f"{where} is {reprlib.repr(value)}, not a JSON object")
    return value


def parse_list(value: object, where: str) -> list[Any]:
    """Return ``value`` if it is a JSON array, else raise an ImageError."""
    if not isinstance(value, (list, tuple)):
        raise ImageError(f"{where} is {reprlib.repr(value)}, not a JSON array")
    return list(value)


def parse_path(value: object, where: str) -> str:
    """Return a path below the group, from text or an integer; a path must not leave the group."""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ImageError(f"{where} is {reprlib.repr(value)}, not a path")
    parts = [part for part in str(value).split("/") if part not in ("", ".")]
    if not parts or ".." in parts:
        raise ImageError(f"{where} is {reprlib.repr(value)}, not a path below the group")
    return "/".join(parts)


def parse_version(stated: object, where: str) -> str:
    """Return one of the known versions; a suffix such as ``-dev`` is dropped.

    >>> parse_version("0.4-dev-spatialdata", "version")
    '0.4'
    """
    match = _VERSION.match(str(stated))
    if match is None:
        raise ImageError(
            f"{where} is {reprlib.repr(stated)}; known versions are {', '.join(KNOWN_VERSIONS)}"
        )
    return match[1]


def parse_axes(stated: object, where: str) -> tuple[Axis, ...]:
    """Return the axes from a list of names or of objects; t, c, z, y, x if none are stated.

    A name may be a synonym, such as height. Many writers leave out the type; a stated type must
    fit the name.
    """
    items = parse_list(list(LETTERS) if stated is None else stated, where)
    check_count(len(items), len(LETTERS), where, "axes")
    return tuple(_parse_axis(item, f"{where}[{k}]") for k, item in enumerate(items))


def _parse_axis(item: object, where: str) -> Axis:
    entry = {"name": item} if isinstance(item, str) else parse_object(item, where)
    name, unit, kind = entry.get("name"), entry.get("unit"), entry.get("type")
    axis = axis_named(str(name), unit if isinstance(unit, str) else None)
    if axis is None:
        raise ImageError(
            f"{where} is named {reprlib.repr(name)}; known axes are {', '.join(LETTERS)}"
        )
    if kind not in (None, "") and str(kind).strip().lower() != axis.type:
        raise ImageError(
            f"{where} is named {name!r} and has type {reprlib.repr(kind)}, but {axis.name} is "
            f"{axis.type}: correct the name or the type"
        )
    return axis


def parse_transforms(
    stated: object, ndim: int, where: str
) -> tuple[tuple[float, ...] | None, tuple[float, ...]]:
    """Return scale and translation of transformations in order; a scale of None is not stated."""
    scale: tuple[float, ...] | None = None
    translation = (0.0,) * ndim
    listed = [] if stated is None else parse_list(stated, where)
    check_count(len(listed), MAX_TRANSFORMS, where, "transformations")
    for k, item in enumerate(listed):
        place = f"{where}[{k}]"
        entry = parse_object(item, place)
        kind = entry.get("type")
        if kind == "scale":
            factors = _numbers(entry.get("scale"), ndim, f"{place}.scale")
            if min(factors, default=1.0) <= 0:
                raise ImageError(f"{place}.scale is {factors}; a voxel's size is above 0")
            scale = _times(scale or (1.0,) * ndim, factors)
            translation = _times(translation, factors)
        elif kind == "translation":
            offset = _numbers(entry.get("translation"), ndim, f"{place}.translation")
            translation = tuple(a + b for a, b in zip(translation, offset))
        elif kind != "identity":
            raise ImageError(
                f"{place} has type {reprlib.repr(kind)}; "
                "known types are scale, translation and identity"
            )
    return scale, translation


def parse_channel_names(omero: object, count: int) -> tuple[str, ...]:
    """The label of each channel; empty if there is no usable label."""
    labels = (channel.get("label") for channel in _channels(omero, count))
    return tuple(str(label) if _is_label(label) else "" for label in labels)


def parse_channel_colors(omero: object, count: int) -> tuple[str, ...]:
    """The colour code that is stated for each channel; empty if there is none."""
    colors = (channel.get("color") for channel in _channels(omero, count))
    return tuple(color if isinstance(color, str) else "" for color in colors)


def _channels(omero: object, count: int) -> list[dict[str, Any]]:
    """The entry for each of ``count`` channels; an empty object if a channel has no entry."""
    stated = omero.get("channels") if isinstance(omero, dict) else None
    listed = stated[:count] if isinstance(stated, list) else []
    known = [channel if isinstance(channel, dict) else {} for channel in listed]
    return known + [{}] * (count - len(known))


def _is_label(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return False
    return isinstance(value, int) or bool(value.strip())


def level_factors(shape: Sequence[int], reduced: Sequence[int]) -> tuple[float, ...]:
    """The factor by which each axis was downsampled, computed from the shapes of two levels.

    It is the smallest power of two that gives the reduced size, rounded up or down. If there is
    none, it is the ratio of the sizes.

    >>> level_factors((6, 263, 300), (6, 65, 100))
    (1.0, 4.0, 3.0)
    """
    return tuple(_factor(size, small) for size, small in zip(shape, reduced))


def _factor(size: int, small: int) -> float:
    power = 1
    while power <= size:
        if small in (size // power, -(-size // power)):
            return float(power)
        power *= 2
    return size / small


def _numbers(value: object, ndim: int, where: str) -> tuple[float, ...]:
    items = parse_list(value, where)
    if len(items) != ndim:
        raise ImageError(f"{where} is {reprlib.repr(value)}; {ndim} axes need {ndim} numbers")
    if not all(_is_finite(item) for item in items):
        raise ImageError(f"{where} is {reprlib.repr(value)}, not finite numbers")
    return tuple(float(item) for item in items)


def _is_finite(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def _times(values: Sequence[float], factors: Sequence[float]) -> tuple[float, ...]:
    return tuple(a * b for a, b in zip(values, factors))
