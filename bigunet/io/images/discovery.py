"""Describes the image at a path or URL, whatever program wrote it; no voxel is read.

:mod:`bigunet.io.images.ngff` reads the JSON, :mod:`bigunet.stores.access` opens the stores,
:mod:`bigunet.io.images.levels` describes the levels, :mod:`bigunet.io.images.bare` bare arrays.
"""

from __future__ import annotations

import reprlib
from pathlib import Path
from typing import Any

import zarr

from bigunet.errors import ImageError
from bigunet.io.images import ngff
from bigunet.io.images.axes import axes_of, checked_letters
from bigunet.io.images.bare import describe_bare
from bigunet.io.images.channels import are_colours
from bigunet.io.images.coordinate_systems import SYSTEMS, flattened
from bigunet.io.images.groups import existing_node, group_metadata, ome_metadata, only_series
from bigunet.io.images.inside import images_inside
from bigunet.io.images.levels import num_channels, read_levels
from bigunet.io.images.limits import some_of
from bigunet.io.images.multiscale import Axis, Multiscale
from bigunet.io.images.plates import example_fields
from bigunet.stores.access import join_url, normal_url, shown_url

_BF2RAW = "bioformats2raw.layout"
_NUM_NAMED = 10
_NUM_INSIDE = 3


def open_multiscale(url: str | Path, *, axes: str = "", usual_axes: bool = False) -> Multiscale:
    """Describe the image at ``url``.

    Parameters
    ----------
    url : str or Path
        An OME-Zarr image (0.1 to 0.6), a bioformats2raw root with one series, a group inside
        either, or a bare zarr array; local, or a URL that fsspec knows.
    axes : str
        Letters of the axes in the order of storage, such as ``"yxc"``, for an image that does
        not state its axes; otherwise empty.
    usual_axes : bool
        Whether a bare array without axis names is taken as a stack, even if its axes may include
        channels. Use it if another image, which must have the same axes, shows whether that is
        right.

    Raises
    ------
    ImageError
        If there is no image or more than one, or if it cannot be read; if its axes are not
        stated, or differ from ``axes``.
    OptionError
        If ``axes`` are no axes of an image.
    """
    url, axes = normal_url(url), checked_letters(axes)
    node = existing_node(url)
    if isinstance(node, zarr.Array):
        return describe_bare(url, node, name=_name(url, None), axes=axes, usual_axes=usual_axes)
    ome = ome_metadata(url, node)
    if "multiscales" in ome:
        return _image(url, node, ome, axes)
    if "plate" in ome or "well" in ome:
        kind = "plate" if "plate" in ome else "well"
        examples = example_fields(url, ome)
        raise ImageError(f"{url} is a {kind}, not one image; give one of its fields: {examples}")
    if _BF2RAW in ome:
        series = join_url(url, only_series(url))
        return _image(series, *group_metadata(series), axes)
    if "labels" in ome:
        names = ngff.parse_list(ome["labels"], f"{url}: labels")
        examples = some_of((join_url(url, str(name)) for name in names), len(names), most=3)
        raise ImageError(f"{url} holds labels; give one of them: {examples or 'none is listed'}")
    raise ImageError(_without_image(url))


def _without_image(url: str) -> str:
    """The error line for a group without an image; it names what the user could give instead."""
    images, arrays = images_inside(url, _NUM_INSIDE)
    what = f"{url} is a zarr group without multiscales"
    if images or arrays:
        kind = "images" if images else "arrays"
        return f"{what}; give one of the {kind} inside: {', '.join(images or arrays)}"
    return f"{what}; give an image or array inside it"


def _image(url: str, group: zarr.Group, ome: dict[str, Any], stated_axes: str) -> Multiscale:
    if "multiscales" not in ome:
        raise ImageError(f"{url} has no multiscales, so it is no image; give another series")
    listed = ngff.parse_list(ome["multiscales"], f"{url}: multiscales")
    if not listed:
        raise ImageError(f"{url}: multiscales is empty")
    first = ngff.parse_object(listed[0], f"{url}: multiscales[0]")
    stated = ome.get("version") or first.get("version") or "0.4"
    version = ngff.parse_version(stated, f"{url}: version")
    first, of_systems = _without_systems(url, first, version)
    axes = _axes(url, first, stated_axes)
    levels, notes = read_levels(url, first, axes)
    count = num_channels(axes, levels[0].shape)
    omero = ome.get("omero")
    names = ngff.parse_channel_names(omero, count)
    codes = ngff.parse_channel_colors(omero, count)
    return Multiscale(
        url=url,
        version=version,
        zarr_format=group.metadata.zarr_format,
        name=_name(url, first.get("name")),
        axes=axes,
        levels=levels,
        channel_names=names,
        is_label="image-label" in ome,
        is_rgb=levels[0].dtype == "uint8" and are_colours(names, codes),
        notes=of_systems + notes + _other_multiscales(url, listed),
    )


def _without_systems(
    url: str, multiscale: dict[str, Any], version: str
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """An image in the words of OME-Zarr 0.5, and notes on coordinate systems that are not used."""
    if version == "0.6":
        flat = flattened(multiscale, f"{url}: multiscales[0]")
        return flat.multiscale, flat.notes(shown_url(url))
    if SYSTEMS in multiscale and "axes" not in multiscale:
        raise ImageError(
            f"{url} has {SYSTEMS} and no axes, which is OME-Zarr 0.6, but its version is "
            f"{version}: correct the version"
        )
    return multiscale, ()


def _axes(url: str, multiscale: dict[str, Any], letters: str) -> tuple[Axis, ...]:
    """Axes that the image states; if it states none, those that the user states."""
    stated = multiscale.get("axes")
    if stated is None and letters:
        return axes_of(letters)
    axes = ngff.parse_axes(stated, f"{url}: axes")
    own = "".join(axis.name for axis in axes)
    if letters and letters != own:
        raise ImageError(
            f"{url} states the axes {own}, but --axes {letters} was given; leave out --axes, or "
            "correct the image's metadata"
        )
    return axes


def _other_multiscales(url: str, listed: list[Any]) -> tuple[str, ...]:
    """A note that names the images of a group that are not read, which are all after the first."""
    if len(listed) == 1:
        return ()
    first, *others = (_called(k, item) for k, item in enumerate(listed[:_NUM_NAMED]))
    unread = some_of(others, len(listed) - 1)
    return (
        f"{shown_url(url)} has {len(listed)} multiscales: the first, {first}, is read, "
        f"and not {unread}",
    )


def _called(number: int, multiscale: object) -> str:
    """The name of an image, or its number if it has no name."""
    name = multiscale.get("name") if isinstance(multiscale, dict) else None
    return reprlib.repr(name) if isinstance(name, str) and name else f"number {number}"


def _name(url: str, stated: object) -> str:
    """The name that an image states; else its file name without the suffixes."""
    if isinstance(stated, str) and stated.strip("/ "):
        return stated
    name = shown_url(url).rsplit("/", 1)[-1]
    for suffix in (".zip", ".ozx", ".zarr", ".ome"):
        name = name.removesuffix(suffix)
    return name
