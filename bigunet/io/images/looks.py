"""How an image asks to be shown: colours and windows of channels, colours of labels."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import zarr

from bigunet.io.images.groups import ome_metadata
from bigunet.io.images.multiscale import ImageDescription, Multiscale
from bigunet.stores.access import find_node, join_url

Rgba = tuple[int, int, int, int]
_HEX = re.compile(r"#?([0-9a-fA-F]{6})(?:[0-9a-fA-F]{2})?")


@dataclass(frozen=True, slots=True)
class StatedLook:
    """How the metadata of a channel ask to show it.

    Parameters
    ----------
    colour : str
        Six hexadecimal digits; empty if none is stated.
    window : (float, float), optional
        Grey values that are drawn as black and as the colour.
    shown : bool
        Whether the channel is visible at first.
    """

    colour: str = ""
    window: tuple[float, float] | None = None
    shown: bool = True


def stated_looks(image: ImageDescription) -> tuple[StatedLook, ...]:
    """How each channel of an image asks to be shown; what cannot be read counts as not stated.

    Raises
    ------
    ImageError
        If the metadata cannot be reached.
    """
    omero = _metadata(image, image.url).get("omero")
    listed = omero.get("channels") if isinstance(omero, dict) else None
    entries = listed if isinstance(listed, list) else []
    padded = [*entries, *[None] * image.num_channels][: image.num_channels]
    return tuple(_look(entry if isinstance(entry, dict) else {}) for entry in padded)


def label_colours(image: ImageDescription) -> dict[int, Rgba]:
    """Red, green, blue and opacity of the values of a label image, as far as it states them.

    Raises
    ------
    ImageError
        If the metadata cannot be reached.
    """
    folder = image.levels[0].path.rpartition("/")[0]
    label = _metadata(image, join_url(image.url, folder)).get("image-label")
    listed = label.get("colors") if isinstance(label, dict) else None
    coloured = map(_colour, listed) if isinstance(listed, list) else ()
    return dict(one for one in coloured if one is not None)


def listed_labels(image: ImageDescription) -> tuple[str, ...]:
    """Paths below an image of the label images that it lists and that are stored.

    Raises
    ------
    ImageError
        If the list cannot be reached.
    """
    if not isinstance(image, Multiscale) or not image.version:
        return ()
    url = join_url(image.url, "labels")
    node = find_node(url)
    listed = ome_metadata(url, node).get("labels") if isinstance(node, zarr.Group) else None
    names = [n for n in listed if isinstance(n, str)] if isinstance(listed, list) else []
    whole = [n for n in names if n and not set(n.split("/")) & {"", ".", ".."}]
    return tuple(f"labels/{n}" for n in whole if find_node(image.url, f"labels/{n}") is not None)


def _metadata(image: ImageDescription, url: str) -> dict[str, Any]:
    if not isinstance(image, Multiscale) or not image.version:
        return {}
    node = find_node(url)
    return ome_metadata(url, node) if isinstance(node, zarr.Group) else {}


def _look(entry: dict[str, Any]) -> StatedLook:
    code = entry.get("color")
    match = _HEX.fullmatch(code) if isinstance(code, str) else None
    window = entry.get("window")
    stated = window if isinstance(window, dict) else {}
    return StatedLook(
        colour=match[1].upper() if match else "",
        window=_window(stated.get("start"), stated.get("end")),
        shown=entry.get("active") is not False,
    )


def _window(start: Any, end: Any) -> tuple[float, float] | None:
    if not _is_number(start) or not _is_number(end) or not start < end:
        return None
    return float(start), float(end)


def _colour(item: Any) -> tuple[int, Rgba] | None:
    value = item.get("label-value") if isinstance(item, dict) else None
    rgba = item.get("rgba") if isinstance(item, dict) else None
    if not isinstance(value, int) or not isinstance(rgba, list) or len(rgba) not in (3, 4):
        return None
    if not all(isinstance(part, int) and 0 <= part <= 255 for part in rgba):
        return None
    red, green, blue, opacity = (*rgba, 255)[:4]
    return value, (red, green, blue, opacity)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
