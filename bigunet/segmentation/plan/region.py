"""The part of a level that is segmented: the option ``roi``, in voxels of the level."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction

from bigunet.errors import OptionError
from bigunet.geometry import Box
from bigunet.io.images.multiscale import ImageDescription
from bigunet.io.images.units import to_um
from bigunet.options.lengths import decimal
from bigunet.options.regions import End, Ends

_HALF = Fraction(1, 2)
# Translations are often rounded, and place the centre of the first voxel, or its edge.
_MOST_SHIFT = 1


def region_in_voxels(
    image: ImageDescription, level: int, roi: Mapping[str, Ends]
) -> dict[str, tuple[int, int]]:
    """Start and stop in voxels: a voxel is inside if its centre is, counted from the image's start.

    Regions that share an end thus share no voxel, and leave none out between them.

    Parameters
    ----------
    image : ImageDescription
    level : int
    roi : mapping of str to (int or Length, int or Length)
        By the names of the axes.

    Raises
    ------
    OptionError
        If there is no such axis, a length is given where the image states no size of a voxel, or
        no voxel is inside.
    """
    return {
        axis: _in_voxels(image, level, axis, start, stop) for axis, (start, stop) in roi.items()
    }


def region_box(image: ImageDescription, level: int, roi: Mapping[str, tuple[int, int]]) -> Box:
    """The box of a region in voxels, or of the whole level along axes without an entry.

    Raises
    ------
    OptionError
        If there is no such axis, or it is shorter.
    """
    shape = image.volume_shape(level)
    start, stop = [0] * len(shape), list(shape)
    for name, (a, b) in roi.items():
        axis = _position(image, name, (a, b))
        if b > shape[axis]:
            raise OptionError(
                f"roi {name}={a}:{b}: the level has {shape[axis]} voxels there"
                f"{_as_length(image, level, name)}"
            )
        start[axis], stop[axis] = a, b
    return Box(tuple(start), tuple(stop))


def _in_voxels(
    image: ImageDescription, level: int, axis: str, start: End, stop: End
) -> tuple[int, int]:
    _position(image, axis, (start, stop))
    if isinstance(start, int) and isinstance(stop, int):
        return start, stop
    size = _voxel_um(image, level, axis)
    label = f"roi {axis}={start}:{stop}"
    if size is None:
        raise OptionError(
            f"{label}: {image.url} does not state the size of its voxels along {axis}; give "
            f"voxels, such as {axis}=0:512"
        )
    _check_begins_at_0(image, axis, label)
    first, last = (_first_inside(end, size) for end in (start, stop))
    if first == last:
        raise OptionError(
            f"{label}: no voxel has its centre there, as a voxel has {float(size):g} µm along "
            f"{axis}; give a larger region"
        )
    return first, last


def _first_inside(end: End, size: Fraction) -> int:
    """The first voxel with a centre at this place or beyond it."""
    if isinstance(end, int):
        return end
    return max(0, math.ceil(decimal(end.um) / size - _HALF))


def _voxel_um(image: ImageDescription, level: int, axis: str) -> Fraction | None:
    """Micrometres of a voxel along an axis; None where the image does not say it."""
    unit = to_um(image.unit(axis))
    scale = image.volume_scale(level)[image.volume_axes.index(axis)]
    if unit is None or not 0 < scale < math.inf:
        return None
    return decimal(scale) * decimal(unit)


def _check_begins_at_0(image: ImageDescription, axis: str, label: str) -> None:
    """Raise OptionError for an image that lies elsewhere, where lengths may mean two places."""
    position = image.volume_axes.index(axis)
    place, scale = image.volume_translation()[position], image.volume_scale()[position]
    if abs(place) > _MOST_SHIFT * scale:
        raise OptionError(
            f"{label}: {image.url} begins at {axis} = {place:g} {image.unit(axis)}, so it is not "
            f"clear whether lengths count from there; give voxels, such as {axis}=0:512"
        )


def _position(image: ImageDescription, axis: str, ends: Ends) -> int:
    if axis not in image.volume_axes:
        axes = ", ".join(image.volume_axes)
        raise OptionError(f"roi {axis}={ends[0]}:{ends[1]}: {image.url} has the axes {axes}")
    return image.volume_axes.index(axis)


def _as_length(image: ImageDescription, level: int, axis: str) -> str:
    """The extent of a level in micrometres, in brackets; empty if it is not known."""
    size = _voxel_um(image, level, axis)
    if size is None:
        return ""
    extent = size * image.volume_shape(level)[image.volume_axes.index(axis)]
    return f" ({float(extent):g} µm)"
