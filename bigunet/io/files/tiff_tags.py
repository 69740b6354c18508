"""What a TIFF file says about itself: physical size and channel names, from whoever wrote it."""

from __future__ import annotations

import math
import re
from typing import Any
from xml.etree import ElementTree

from tifffile import RESUNIT, TiffFile, TiffPage

from bigunet.io.images.channels import COLOURS
from bigunet.io.images.units import to_um

_FINEST_PRINT_UM = 20.0
"""Pixels coarser than this (1270 dpi) are those of a printer, not of a microscope."""


def voxel_size_um(tiff: TiffFile) -> dict[str, float]:
    """Micrometres per voxel of the axes z, y, x, as far as the file states them.

    From OME-XML, ImageJ's description, Aperio's, or a resolution in centimetres that is finer
    than any printer's; a resolution in inches is that of a printer and says nothing.
    """
    if tiff.is_ome:
        found = _ome_size(tiff)
    elif tiff.is_imagej:
        found = _imagej_size(tiff)
    elif tiff.is_svs:
        found = _svs_size(tiff)
    else:
        found = _resolution_size(tiff)
    return {axis: size for axis, size in found.items() if math.isfinite(size) and size > 0}


def channel_names(tiff: TiffFile, count: int) -> tuple[str, ...]:
    """Names of the channels, as OME-XML states them, or colours; empty where there is none."""
    names = [""] * count
    if tiff.is_ome:
        pixels = _ome_pixels(tiff)
        for k, channel in enumerate(_children(pixels, "Channel")[:count]):
            names[k] = channel.get("Name") or names[k]
    elif count == 3 and "S" in tiff.series[0].axes:
        return COLOURS
    return tuple(names)


def _ome_pixels(tiff: TiffFile) -> ElementTree.Element | None:
    """Description of the first image; None where it cannot be read."""
    # Not tifffile.xml2dict: it would make the number 1 of a channel named 01.
    try:
        root = ElementTree.fromstring(tiff.ome_metadata or "")
    except ElementTree.ParseError:
        return None
    images = _children(root, "Image")
    return next(iter(_children(images[0], "Pixels")), None) if images else None


def _children(element: ElementTree.Element | None, name: str) -> list[ElementTree.Element]:
    """Children of this name in any namespace: each version of OME-XML has its own."""
    return [] if element is None else [e for e in element if e.tag.rsplit("}", 1)[-1] == name]


def _ome_size(tiff: TiffFile) -> dict[str, float]:
    pixels = _ome_pixels(tiff)
    sizes: dict[str, float] = {}
    told = {} if pixels is None else pixels.attrib
    for axis in "zyx":
        name = f"PhysicalSize{axis.upper()}"
        sizes |= _sized(axis, told.get(name), to_um(told.get(f"{name}Unit", "µm")))
    return sizes


def _imagej_size(tiff: TiffFile) -> dict[str, float]:
    told: dict[str, Any] = tiff.imagej_metadata or {}
    factor = to_um(str(told.get("unit", "")))
    sizes = _sized("z", told.get("spacing"), factor)
    for axis, tag in (("y", "YResolution"), ("x", "XResolution")):
        sizes |= _sized(axis, _pixels_size(tiff, tag), factor)
    return sizes


def _svs_size(tiff: TiffFile) -> dict[str, float]:
    found = re.search(r"\bMPP\s*=\s*([0-9.eE+-]+)", _first_page(tiff).description)
    stated = found and found[1]
    return _sized("y", stated, 1.0) | _sized("x", stated, 1.0)


def _resolution_size(tiff: TiffFile) -> dict[str, float]:
    unit = _first_page(tiff).tags.get("ResolutionUnit")
    if unit is None or int(unit.value) != RESUNIT.CENTIMETER:
        return {}
    sizes: dict[str, float] = {}
    for axis, tag in (("y", "YResolution"), ("x", "XResolution")):
        sizes |= _sized(axis, _pixels_size(tiff, tag), to_um("cm"))
    return {axis: size for axis, size in sizes.items() if size < _FINEST_PRINT_UM}


def _pixels_size(tiff: TiffFile, name: str) -> float | None:
    """Units per pixel: a tag states pixels per unit, as a fraction."""
    tag = _first_page(tiff).tags.get(name)
    if tag is None:
        return None
    pixels, units = tag.value
    return units / pixels if pixels else None


def _first_page(tiff: TiffFile) -> TiffPage:
    page = tiff.pages[0]
    assert isinstance(page, TiffPage)  # only later pages are read in short
    return page


def _sized(axis: str, stated: object, factor: float | None) -> dict[str, float]:
    try:
        return {} if stated is None or factor is None else {axis: float(str(stated)) * factor}
    except ValueError:
        return {}
