"""A bare zarr array, one without OME-Zarr metadata, described as an image of one level."""

from __future__ import annotations

import reprlib
from typing import Any

import zarr

from bigunet.errors import ImageError
from bigunet.io.images.axes import axes_of, named_letters, unnamed_letters
from bigunet.io.images.levels import check_array, level_of, num_channels
from bigunet.io.images.limits import check_extents
from bigunet.io.images.multiscale import Multiscale
from bigunet.stores.access import reading

_XARRAY = "_ARRAY_DIMENSIONS"


def describe_bare(
    url: str, array: zarr.Array[Any], *, name: str, axes: str = "", usual_axes: bool = False
) -> Multiscale:
    """Describe a bare array.

    Parameters
    ----------
    url : str
    array : zarr.Array
    name : str
        Name of the image.
    axes : str
        Letters of the axes, as the user states them; empty if the user states none.
    usual_axes : bool
        Whether an array without axis names has the usual axes, even if one axis may hold colours.

    Raises
    ------
    ImageError
        If its axes are not known, or it holds no voxels.
    """
    letters = _letters(url, array, axes, usual_axes=usual_axes)
    image_axes = axes_of(letters)
    check_array(url, array, image_axes)
    level = level_of("", array, (1.0,) * array.ndim, (0.0,) * array.ndim)
    count = num_channels(image_axes, array.shape)
    return Multiscale(
        url=url,
        version="",
        zarr_format=array.metadata.zarr_format,
        name=name,
        axes=image_axes,
        levels=(level,),
        channel_names=("",) * count,
        is_label=False,
        is_rgb=letters.endswith("c") and count in (3, 4),
    )


def _letters(url: str, array: zarr.Array[Any], stated: str, *, usual_axes: bool) -> str:
    check_extents(array.shape, url)
    if stated and len(stated) != array.ndim:
        raise ImageError(
            f"--axes {stated} names {len(stated)} axes, but {url} has {array.ndim}: {array.shape}"
        )
    names = _stored_names(url, array)
    known = named_letters(names, stated, url) or stated
    return known or unnamed_letters(array.shape, url, ask=not usual_axes)


def _stored_names(url: str, array: zarr.Array[Any]) -> list[object]:
    """Names of the axes, from zarr 3's metadata, or from xarray's attribute of a zarr 2 array."""
    own = getattr(array.metadata, "dimension_names", None)
    if own and any(own):
        return list(own)
    with reading(url):
        kept = array.attrs.asdict().get(_XARRAY)
    if kept is None:
        return []
    if not isinstance(kept, list) or len(kept) != array.ndim:
        raise ImageError(
            f"{url}: {_XARRAY} is {reprlib.repr(kept)}, not a name for each of {array.ndim} axes; "
            "correct it"
        )
    return kept
