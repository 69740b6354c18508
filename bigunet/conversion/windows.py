"""The grey values that viewers draw as black and as full colour, for each channel of a conversion.

A few hot voxels must not make the rest dark. So a thousandth of the voxels at either end may lie
outside: of some planes of the smallest level, which are read when all is written.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bigunet.io.output.output_image import OutputChannel, OutputImage
from bigunet.stores.access import open_array, reading

Window = tuple[float, float]

_OUTSIDE = 0.001
_MAX_PLANES = 16


def with_windows(output: OutputImage, extremes: Iterable[Sequence[Any]]) -> OutputImage:
    """The output with a window for each channel.

    Parameters
    ----------
    output : OutputImage
        Written, with all levels.
    extremes : iterable
        For each block, and each channel of it: the least and the greatest finite value; empty if
        there is none.
    """
    least = [math.inf] * output.num_channels
    greatest = [-math.inf] * output.num_channels
    for block in extremes:
        for k, pair in enumerate(block):
            if pair:
                least[k], greatest[k] = min(least[k], pair[0]), max(greatest[k], pair[1])
    ranges = zip(output.channels, zip(least, greatest))
    windowed = (
        replace(channel, window=_window(output, k, channel, known))
        for k, (channel, known) in enumerate(ranges)
    )
    return replace(output, channels=tuple(windowed))


def _window(output: OutputImage, index: int, channel: OutputChannel, known: Window) -> Window:
    if output.dtype == "uint8" and len({one.colour for one in output.channels}) == 3:
        # Colours of a camera are shown as they are.
        return 0, 255
    if not output.is_halved_by_mode and known[0] < known[1]:
        inner = _usual_range(output, index)
        if inner[0] < inner[1]:
            return inner
    return _whole_range(known)


def _whole_range(known: Window) -> Window:
    """All values; with 0, and 1 at least, if there is one value alone or none."""
    if not all(map(math.isfinite, known)):
        return 0, 1
    # A bool is written as a number.
    least, greatest = (int(n) if isinstance(n, bool) else n for n in known)
    if least >= greatest:
        return (0, max(1, greatest)) if greatest >= 0 else (greatest, 0)
    return least, greatest


def _usual_range(output: OutputImage, index: int) -> Window:
    """The range of a channel without a thousandth of the voxels at either end."""
    values = np.sort(np.concatenate([plane.ravel() for plane in _planes(output, index)]))
    if values.dtype.kind == "f":
        values = values[np.isfinite(values)]
    if not values.size:
        return 0, 0
    outside = int(values.size * _OUTSIDE)
    return values[outside].item(), values[-1 - outside].item()


def _planes(output: OutputImage, index: int) -> list[np.ndarray]:
    """Some planes of a channel of the smallest level, evenly spaced in z and time."""
    path = output.level_path(len(output.layout.levels) - 1)
    names = [axis.name for axis in output.axes[:-2]]
    with reading(output.store):
        array = open_array(output.store, path)
        sizes = [1 if name == "c" else n for name, n in zip(names, array.shape)]
        count = math.prod(sizes)
        chosen = np.unique(np.linspace(0, count - 1, min(count, _MAX_PLANES)).astype(int))
        places = (np.unravel_index(number, sizes) if sizes else () for number in chosen)
        return [
            np.asarray(array[tuple(index if n == "c" else int(p) for n, p in zip(names, place))])
            for place in places
        ]
