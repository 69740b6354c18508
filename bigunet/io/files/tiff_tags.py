"""Voxel sizes and names of channels that a TIFF file states, in the ways of several programs."""

from __future__ import annotations

import math
import re
from typing import Any
from xml.etree import ElementTree

from tifffile import RESUNIT, TiffFile, TiffPage

from bigunet.io.images.channels import COLOURS
from bigunet.io.images.units import to_seconds, to_um

_FINEST_PRINT_UM = 20.0
"""Pixels coarser than this (1270 dpi) are those of a printer, not of a microscope."""


def voxel_size(tiff: TiffFile, number: int = 0) -> dict[str, float]:
    """Size of a voxel of an image along the axes for which the file states it.

    It is in micrometres along z, y and x, and in seconds along t. It comes from OME-XML, from the
    description of ImageJ, Aperio or Zeiss, or from a resolution in centimetres that is finer than
    any printer's. A resolution in inches is that of a printer: it is not read.
    """
    if tiff.is_ome:
        sizes = _ome_size(tiff, number)
    elif tiff.is_imagej:
        sizes = _imagej_size(tiff)
    elif tiff.is_lsm:
        sizes = _lsm_size(tiff)
    elif _first_page(tiff).is_svs:
        sizes = _svs_size(tiff)
    else:
        sizes = _resolution_size(tiff, number)
    return {axis: size for axis, size in sizes.items() if math.isfinite(size) and size > 0}


def channel_names(tiff: TiffFile, number: int, count: int) -> tuple[str, ...]:
    """Names of the channels: those in OME-XML, or colours; empty text for one without a name."""
    if count == 3 and "S" in tiff.series[number].axes:
        return COLOURS
    names = [""] * count
    if tiff.is_ome:
        pixels = _ome_pixels(tiff, number)
        for k, channel in enumerate(_children(pixels, "Channel")[:count]):
            names[k] = channel.get("Name") or names[k]
    return tuple(names)


def _ome_pixels(tiff: TiffFile, number: int) -> ElementTree.Element | None:
    """Description of an image; None where it cannot be read, or it is unclear which is meant."""
    # Not tifffile.xml2dict: it would make the number 1 of a channel named 01.
    try:
        root = ElementTree.fromstring(tiff.ome_metadata or "")
    except ElementTree.ParseError:
        return None
    images = _children(root, "Image")
    if number >= len(images) or (number and len(images) != len(tiff.series)):
        return None
    return next(iter(_children(images[number], "Pixels")), None)


def _children(element: ElementTree.Element | None, name: str) -> list[ElementTree.Element]:
    """Children of this name in any namespace: each version of OME-XML has its own."""
    return [] if element is None else [e for e in element if e.tag.rsplit("}", 1)[-1] == name]


def _ome_size(tiff: TiffFile, number: int) -> dict[str, float]:
    pixels = _ome_pixels(tiff, number)
    sizes: dict[str, float] = {}
    attributes = {} if pixels is None else pixels.attrib
    for axis in "zyx":
        name = f"PhysicalSize{axis.upper()}"
        sizes |= _sized(axis, attributes.get(name), to_um(attributes.get(f"{name}Unit", "µm")))
    seconds = to_seconds(attributes.get("TimeIncrementUnit", "s"))
    return sizes | _sized("t", attributes.get("TimeIncrement"), seconds)


def _imagej_size(tiff: TiffFile) -> dict[str, float]:
    metadata: dict[str, Any] = tiff.imagej_metadata or {}
    factor = to_um(str(metadata.get("unit", "")))
    sizes = _sized("z", metadata.get("spacing"), factor)
    page = _first_page(tiff)
    for axis, tag in (("y", "YResolution"), ("x", "XResolution")):
        sizes |= _sized(axis, _pixels_size(page, tag), factor)
    return sizes | _sized("t", metadata.get("finterval"), 1.0)


def _lsm_size(tiff: TiffFile) -> dict[str, float]:
    metadata: dict[str, Any] = tiff.lsm_metadata or {}
    sizes = _sized("t", metadata.get("TimeIntervall"), 1.0)
    for axis in "zyx":
        sizes |= _sized(axis, metadata.get(f"VoxelSize{axis.upper()}"), to_um("m"))
    return sizes


def _svs_size(tiff: TiffFile) -> dict[str, float]:
    match = re.search(r"\bMPP\s*=\s*([0-9.eE+-]+)", _first_page(tiff).description)
    stated = match and match[1]
    return _sized("y", stated, 1.0) | _sized("x", stated, 1.0)


def _resolution_size(tiff: TiffFile, number: int) -> dict[str, float]:
    page = tiff.series[number].keyframe
    unit = page.tags.get("ResolutionUnit")
    if unit is None or int(unit.value) != RESUNIT.CENTIMETER:
        return {}
    sizes: dict[str, float] = {}
    for axis, tag in (("y", "YResolution"), ("x", "XResolution")):
        sizes |= _sized(axis, _pixels_size(page, tag), to_um("cm"))
    return {axis: size for axis, size in sizes.items() if size < _FINEST_PRINT_UM}


def _pixels_size(page: TiffPage, name: str) -> float | None:
    """Length of a pixel, in the unit of the tag. The tag states pixels per unit, as a fraction."""
    tag = page.tags.get(name)
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
