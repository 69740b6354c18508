"""Voxel sizes and names of channels that a TIFF file states, in the ways of several programs."""

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
    """Micrometres per voxel along the axes z, y and x for which the file states them.

    They come from OME-XML, from the description of ImageJ or Aperio, or from a resolution in
    centimetres that is finer than any printer's. A resolution in inches is that of a printer: it
    is not read.
    """
    if tiff.is_ome:
        sizes = _ome_size(tiff)
    elif tiff.is_imagej:
        sizes = _imagej_size(tiff)
    elif tiff.is_svs:
        sizes = _svs_size(tiff)
    else:
        sizes = _resolution_size(tiff)
    return {axis: size for axis, size in sizes.items() if math.isfinite(size) and size > 0}


def channel_names(tiff: TiffFile, count: int) -> tuple[str, ...]:
    """Names of the channels: those in OME-XML, or colours; empty text for one without a name."""
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
    attributes = {} if pixels is None else pixels.attrib
    for axis in "zyx":
        name = f"PhysicalSize{axis.upper()}"
        sizes |= _sized(axis, attributes.get(name), to_um(attributes.get(f"{name}Unit", "µm")))
    return sizes


def _imagej_size(tiff: TiffFile) -> dict[str, float]:
    metadata: dict[str, Any] = tiff.imagej_metadata or {}
    factor = to_um(str(metadata.get("unit", "")))
    sizes = _sized("z", metadata.get("spacing"), factor)
    for axis, tag in (("y", "YResolution"), ("x", "XResolution")):
        sizes |= _sized(axis, _pixels_size(tiff, tag), factor)
    return sizes


def _svs_size(tiff: TiffFile) -> dict[str, float]:
    match = re.search(r"\bMPP\s*=\s*([0-9.eE+-]+)", _first_page(tiff).description)
    stated = match and match[1]
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
    """Length of a pixel, in the unit of the tag. The tag states pixels per unit, as a fraction."""
    tag = _first_page(tiff).tags.get(name)
    if tag is None:
        return None
    pixels, units = tag.value
    return units / pixels if pixels else None


def _first_page(tiff: TiffFile) -> TiffPage:
    page = tiff.pages[0]
    assert isinstance(page, TiffPage)  # tifffile reads only later pages as frames
    return page


def _sized(axis: str, stated: object, factor: float | None) -> dict[str, float]:
    try:
        return {} if stated is None or factor is None else {axis: float(str(stated)) * factor}
    except ValueError:
        return {}
