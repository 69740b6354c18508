"""Units of length in micrometres, from the many ways in which files spell them."""

from __future__ import annotations

import re

from bigunet.io.images.multiscale import ImageDescription

_UM = {
    "angstrom": 1e-4,
    "picometer": 1e-6,
    "nanometer": 1e-3,
    "micrometer": 1.0,
    "millimeter": 1e3,
    "centimeter": 1e4,
    "meter": 1e6,
}
_SHORT = {
    "å": "angstrom",
    "pm": "picometer",
    "nm": "nanometer",
    "um": "micrometer",
    "micron": "micrometer",
    "mm": "millimeter",
    "cm": "centimeter",
    "m": "meter",
}


_SECONDS = {
    "nanosecond": 1e-9,
    "microsecond": 1e-6,
    "millisecond": 1e-3,
    "second": 1.0,
    "minute": 60.0,
    "hour": 3600.0,
    "day": 86400.0,
}
_SHORT_TIMES = {"ns": "nanosecond", "us": "microsecond", "ms": "millisecond", "s": "second"}
_SHORT_TIMES |= {"sec": "second", "min": "minute", "h": "hour", "hr": "hour", "d": "day"}


def to_seconds(unit: str | None) -> float | None:
    """Seconds in one unit of time; None if it is no unit of time.

    Examples
    --------
    >>> to_seconds("minute"), to_seconds("ms"), to_seconds(None)
    (60.0, 0.001, None)
    """
    text = re.sub("µ|μ", "u", (unit or "").strip()).lower()
    name = _SHORT_TIMES.get(text, text)
    return _SECONDS.get(name, _SECONDS.get(name.removesuffix("s")))


def to_um(unit: str | None) -> float | None:
    r"""Micrometres in one unit of length; None if it is no unit of length, such as pixels.

    Examples
    --------
    >>> to_um("nanometer"), to_um("\u00b5m"), to_um("microns"), to_um("pixel")
    (0.001, 1.0, 1.0, None)
    """
    # ImageJ writes the escape itself; mu is spelt with two different letters.
    text = re.sub(r"\\u00[bB]5|µ|μ", "u", (unit or "").strip()).lower().replace("metre", "meter")
    for name in (text, text.removesuffix("s")):
        length = _UM.get(_SHORT.get(name, name))
        if length is not None:
            return length
    return None


def scale_um(image: ImageDescription, level: int) -> tuple[float, ...] | None:
    """Micrometres per voxel along the axes of space, in the order of boxes.

    None unless each axis has a unit of length.
    """
    sizes: list[float] = []
    for axis, scale in zip(image.volume_axes, image.volume_scale(level)):
        if axis == "t":
            continue
        factor = to_um(image.unit(axis))
        if factor is None:
            return None
        sizes.append(scale * factor)
    return tuple(sizes)
