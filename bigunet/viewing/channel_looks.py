"""How the channels of an image are shown: as it asks, else by the values that it has."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bigunet.geometry import Box, Point
from bigunet.io.files.opening import open_level
from bigunet.io.images.looks import StatedLook, stated_looks
from bigunet.io.images.multiscale import ImageDescription
from bigunet.viewing.scene import ChannelLook, GreyLayer

_PALETTE = ("00FFFF", "FF00FF", "FFFF00", "00FF00", "FF0000", "0000FF")
_WHITE = "FFFFFF"
_MOST_SHOWN = 6
"""Channels that are visible at first where the image does not say which."""
_SAMPLE = 1024
_QUANTILES = (1.0, 99.8)


def grey_layer(
    image: ImageDescription, windows: Mapping[int, tuple[float, float]] | None = None
) -> GreyLayer:
    """The layer of an image, with the look of each channel.

    Parameters
    ----------
    image : ImageDescription
    windows : mapping of int to (float, float), optional
        Windows of channels, which count where the image states none.

    Raises
    ------
    ImageError
        If the image cannot be read.
    """
    if image.is_rgb:
        return GreyLayer(image, ())
    known = windows or {}
    stated = stated_looks(image)
    return GreyLayer(image, tuple(_look(image, k, one, known) for k, one in enumerate(stated)))


def _look(
    image: ImageDescription,
    channel: int,
    stated: StatedLook,
    known: Mapping[int, tuple[float, float]],
) -> ChannelLook:
    default = _PALETTE[channel % len(_PALETTE)] if image.num_channels > 1 else _WHITE
    window = stated.window or known.get(channel) or measured_window(image, channel)
    name = image.channel_names[channel] or _numbered(image, channel)
    shown = stated.shown and (bool(stated.colour) or channel < _MOST_SHOWN)
    return ChannelLook(name, stated.colour or default, window, shown)


def _numbered(image: ImageDescription, channel: int) -> str:
    return f"channel {channel}" if image.num_channels > 1 else image.name or "image"


def measured_window(image: ImageDescription, channel: int) -> tuple[float, float]:
    """Grey values that most voxels of the coarsest level lie between, in the middle of the image.

    Raises
    ------
    ImageError
        If the image cannot be read.
    """
    level = len(image.levels) - 1
    reader = open_level(image, level=level, channels=(channel,))
    values = reader.read(_middle(image.volume_shape(level), image.volume_axes))
    finite = values[np.isfinite(values)].astype(np.float64)
    if not finite.size:
        return 0.0, 1.0
    low, high = (float(v) for v in np.percentile(finite, _QUANTILES))
    return (low, high) if low < high else (low, low + 1)


def _middle(shape: Point, axes: tuple[str, ...]) -> Box:
    """A part of the middle plane that fits into memory."""
    lengths = [min(n, _SAMPLE) if axis in "yx" else 1 for n, axis in zip(shape, axes)]
    start = tuple((n - length) // 2 for n, length in zip(shape, lengths))
    return Box(start, tuple(a + length for a, length in zip(start, lengths)))
