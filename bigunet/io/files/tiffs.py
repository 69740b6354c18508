"""TIFF files, described: which image of a file is meant, its axes, levels and channels."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import tifffile

from bigunet.errors import ImageError
from bigunet.io.files.file_image import FileImage, FileSeries, name_of
from bigunet.io.files.tiff_axes import StoredAxes, name_axes
from bigunet.io.files.tiff_tags import channel_names, voxel_size
from bigunet.io.images.axes import axis_named
from bigunet.io.images.channels import are_colours
from bigunet.io.images.multiscale import Axis, Level
from bigunet.io.images.ngff import level_factors
from bigunet.stores.access import reading

_MAKERS = ("avs", "bif", "lsm", "ndpi", "philips", "qpi", "scn", "svs")
"""Formats of makers whose files hold small pictures beside the image."""
_BESIDE = ("label", "macro", "map", "overview", "preview", "thumbnail")
_UNITS = {"t": "second", "z": "micrometer", "y": "micrometer", "x": "micrometer"}


def describe_tiff(series: FileSeries, *, axes: str = "", ask: bool = False) -> FileImage:
    """Describe an image of a TIFF file; no voxel of it is decoded.

    Parameters
    ----------
    series : FileSeries
        In a TIFF, OME-TIFF, ImageJ hyperstack, pyramid, or slide.
    axes : str, optional
        Letters of the axes that the user states.
    ask : bool, optional
        Whether axes that may be another thing are an error, not a guess.

    Raises
    ------
    ImageError
        If it cannot be read, or it is unclear which image is meant, or what its axes are.
    """
    with reading(series.path), tifffile.TiffFile(series.path) as tiff:
        _check_chain(tiff)
        number = chosen_series(tiff, series)
        stored = tiff.series[number]
        for level in stored.levels:
            check_page(level.keyframe)
        _check_planes(stored, series.url)
        names, notes = _axes_of(stored, series, axes, ask=ask)
        size = voxel_size(tiff, number)
        shapes = {k: without_alpha(p) for k, p in enumerate(stored.levels) if _alike(p, stored)}
        num_channels = dict(zip(names, shapes[0])).get("c", 1)
        names_of_channels = channel_names(tiff, number, num_channels)
        return FileImage(
            url=series.url,
            name=name_of(series.path),
            axes=tuple(_axis(name, size) for name in names),
            levels=tuple(
                _level(str(k), shape, stored.levels[k], _scale(names, size, shapes[0], shape))
                for k, shape in shapes.items()
            ),
            channel_names=names_of_channels,
            is_label=False,
            is_rgb=are_colours(names_of_channels, ()),
            notes=notes,
            files=_files_of(series, stored),
            others=tuple(one.name for k, one in enumerate(tiff.series) if k != number),
        )


def chosen_series(tiff: tifffile.TiffFile, series: FileSeries) -> int:
    """Index of the image that is meant: of a slide, the slide.

    Raises
    ------
    ImageError
        If the file holds several images, and the address says not which.
    """
    stored = tiff.series
    names = [f"{one.name or one.kind} {one.axes} {one.shape}" for one in stored]
    main = [k for k, one in enumerate(stored) if not _is_beside(one)]
    return series.choose(names, main)


def without_alpha(level: Any) -> tuple[int, ...]:
    """Shape of a level without the samples that state how opaque a pixel is."""
    opacity = sum(int(kind) in (1, 2) for kind in level.keyframe.extrasamples)
    return tuple(n - opacity if a == "S" else n for a, n in zip(level.axes, level.shape))


def check_page(page: Any) -> None:
    """Raise an ImageError if a file ends before the voxels that a page of it lists."""
    ends = np.add(page.dataoffsets, page.databytecounts, dtype=np.int64)
    file = page.parent.filehandle
    if ends.size and ends.max() > file.size:
        raise ImageError(
            f"{file.path} is cut off: it has {file.size} bytes, and lists voxels up to byte "
            f"{ends.max()}; copy it again"
        )


def _check_chain(tiff: tifffile.TiffFile) -> None:
    """Raise an ImageError if the list of pages leads out of the file; tifffile ends it there."""
    form, file = tiff.tiff, tiff.filehandle
    place = int(tiff.pages[-1].offset)
    file.seek(place)
    (count,) = struct.unpack(form.tagnoformat, file.read(form.tagnosize))
    file.seek(place + form.tagnosize + count * form.tagsize)
    following = file.read(form.offsetsize)
    is_whole = len(following) == form.offsetsize
    if not is_whole or struct.unpack(form.offsetformat, following)[0] >= file.size:
        raise ImageError(
            f"{file.path} is cut off: after {len(tiff.pages)} pages, its list of pages leads "
            "beyond its end; copy it again"
        )


def _check_planes(stored: Any, url: str) -> None:
    """Raise an ImageError if planes that OME-XML lists are not there; tifffile reads zeros."""
    if stored.kind != "ome":
        return
    missing = sum(page is None for page in stored.pages)
    if missing:
        raise ImageError(
            f"{url} lists {len(stored.pages)} planes, of which {missing} are missing: put the "
            "other files of the image beside it, or export it again"
        )


def _is_beside(one: Any) -> bool:
    """Whether this is the small picture of a slide's label, and the like."""
    return one.kind in _MAKERS and one.name.lower().startswith(_BESIDE)


def _axes_of(
    stored: Any, series: FileSeries, axes: str, *, ask: bool
) -> tuple[str, tuple[str, ...]]:
    own = StoredAxes(stored.axes, stored.shape, series.url)
    if axes:
        return own.agreed(axes), ()
    return own.asked() if ask else (name_axes(stored.axes, series.url), ())


def _files_of(series: FileSeries, stored: Any) -> tuple[str, ...]:
    """All files of an image: an OME-TIFF may lie in several."""
    if not stored.is_multifile:
        return (series.path,)
    with_pages = (page for page in stored.pages if page is not None)
    return tuple(sorted({page.parent.filehandle.path for page in with_pages}))


def _alike(level: Any, series: Any) -> bool:
    return bool(level.axes == series.axes and level.dtype == series.dtype)


def _axis(name: str, size: dict[str, float]) -> Axis:
    axis = axis_named(name, _UNITS.get(name) if name in size else None)
    assert axis is not None
    return axis


def _scale(
    names: str, size: dict[str, float], first: Sequence[int], shape: Sequence[int]
) -> tuple[float, ...]:
    factors = level_factors(first, shape)
    return tuple(size.get(name, 1.0) * f for name, f in zip(names, factors))


def _level(path: str, shape: tuple[int, ...], stored: Any, scale: tuple[float, ...]) -> Level:
    dtype = np.dtype(stored.dtype)
    if dtype.kind not in "biuf":
        where = stored.parent.filehandle.path
        raise ImageError(f"{where} has dtype {dtype}; voxels are integers, floats or booleans")
    chunk = stored.keyframe.chunks
    chunks = tuple(map(min, (*(1,) * (len(shape) - len(chunk)), *chunk), shape))
    return Level(path, shape, chunks, None, dtype.name, scale, (0.0,) * len(shape))
