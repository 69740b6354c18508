"""A place in an image: what the user states, and the middle for the rest."""

from __future__ import annotations

import re
from collections.abc import Mapping

from bigunet.errors import OptionError
from bigunet.io.images.multiscale import ImageDescription

_PART = re.compile(r"([a-z])=(\d{1,15})", re.ASCII)


def parse_position(text: str) -> dict[str, int]:
    """The voxel along each axis that a text such as ``"x=1200,y=800"`` names.

    >>> parse_position("x=1200, y=800"), parse_position("")
    ({'x': 1200, 'y': 800}, {})

    Raises
    ------
    OptionError
        If it is no such text.
    """
    place: dict[str, int] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = _PART.fullmatch(part)
        if match is None or match[1] in place:
            raise OptionError(f"position {text!r}: give voxels by axis, such as x=1200,y=800,z=10")
        place[match[1]] = int(match[2])
    return place


def voxel_at(image: ImageDescription, stated: Mapping[str, int]) -> dict[str, int]:
    """The voxel of level 0 along each volume axis: that which is stated, else the middle.

    Along time, the first point is taken in the place of the middle.

    Raises
    ------
    OptionError
        If the image has no such axis or no such voxel.
    """
    extents = dict(zip(image.volume_axes, image.volume_shape()))
    for axis, number in stated.items():
        if axis not in extents:
            names = ", ".join(extents)
            raise OptionError(f"position {axis}={number}: {image.url} has the axes {names}")
        if not 0 <= number < extents[axis]:
            raise OptionError(
                f"position {axis}={number}: {image.url} has {extents[axis]} voxels along {axis}; "
                f"give 0 to {extents[axis] - 1}"
            )
    middle = {axis: 0 if axis == "t" else extent // 2 for axis, extent in extents.items()}
    return middle | dict(stated)
