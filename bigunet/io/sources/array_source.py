"""Arrays in memory, or computed on demand, as sources: numpy, dask, xarray, zarr and their like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from bigunet.errors import ImageError
from bigunet.io.images.array_reader import ArrayReader, Selection
from bigunet.io.images.axes import axis_named, checked_letters, named_letters, unnamed_letters
from bigunet.io.images.intensity import percentiles_of_levels
from bigunet.io.images.multiscale import Axis, ImageDescription, Level

_SIDE = 256
"""Voxels along y and x that are read at once of an array without chunks."""


class Array(Protocol):
    """What slices can be cut from, such as an array of numpy, dask, xarray or zarr."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> Any: ...

    def __getitem__(self, selection: Any, /) -> Any: ...


class _ArrayChannels(ArrayReader):
    """A reader of some channels of an array."""

    def __init__(self, image: ImageDescription, array: Array, channels: Sequence[int]) -> None:
        super().__init__(image, channels=channels)
        self._array = array

    def _cut(self, selection: Selection) -> np.ndarray:
        part = self._array[selection]
        if hasattr(part, "compute"):
            # In this process: a Dask client would otherwise send the array to its workers.
            part = part.compute(scheduler="threads")
        return np.array(part)


class ArraySource(_ArrayChannels):
    """The :class:`bigunet.io.sources.source.Source` of an array with axes.

    A box is cut from the array when it is read. Of a dask array only the chunks under the box are
    computed, each time that it is read. Of a stored array only these chunks are decoded.

    Parameters
    ----------
    array : Array
        Of integers, floating-point numbers or booleans, with 2 to 5 axes.
    axes : str, optional
        A letter of t, c, z, y, x per axis, in the order of the array. By default the axes are
        those that an xarray names in its ``dims``; of other arrays they are yx, zyx, czyx or
        tczyx.
    channels : sequence of int, optional
        Indices of the channels to read, in this order; by default all.
    voxel_size_um : mapping of str to float, optional
        Micrometres per voxel along z, y and x.
    url : str, optional
        The name of the array in messages.

    Raises
    ------
    ImageError
        If it is no array of numbers, has no voxel, or it is unclear what its axes are.
    OptionError
        If the letters are no axes, or the array has no such channel.

    Examples
    --------
    >>> from bigunet.geometry import Box
    >>> ArraySource(np.arange(6).reshape(2, 3), axes="yx").read(Box((0, -1), (1, 2))).tolist()
    [[[1, 0, 1]]]
    """

    def __init__(
        self,
        array: Array,
        *,
        axes: str = "",
        channels: Sequence[int] | None = None,
        voxel_size_um: Mapping[str, float] | None = None,
        url: str = "array",
    ) -> None:
        image = describe_array(array, axes, voxel_size_um or {}, url)
        read = range(image.num_channels) if channels is None else channels
        super().__init__(image, array, read)
        self._image = image

    def percentiles(self, quantiles: Sequence[float]) -> tuple[tuple[float, ...], ...]:
        """See :meth:`bigunet.io.sources.source.Source.percentiles`."""
        return percentiles_of_levels(
            self._image,
            lambda level, channels: _ArrayChannels(self._image, self._array, channels),
            quantiles,
            channels=self._channels,
        ).values


def describe_array(
    array: Array, axes: str, voxel_size_um: Mapping[str, float], url: str
) -> ImageDescription:
    """Describe an array as an image of one level; no voxel is read.

    Parameters are those of :class:`ArraySource`.

    Raises
    ------
    ImageError
        If it is no array of numbers, has no voxel, or it is unclear what its axes are.
    OptionError
        If the letters are no axes.
    """
    shape, dtype = _checked(array, url)
    letters = _letters(array, shape, axes, url)
    known = [_axis(letter, voxel_size_um) for letter in letters]
    scale = tuple(voxel_size_um.get(letter, 1.0) for letter in letters)
    level = Level("", shape, _chunks(array, shape), None, dtype.name, scale, (0.0,) * len(shape))
    num_channels = dict(zip(letters, shape)).get("c", 1)
    return ImageDescription(url, url, tuple(known), (level,), ("",) * num_channels, False)


def _checked(array: Array, url: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of an array of numbers that has voxels."""
    if not hasattr(array, "shape") or not hasattr(array, "dtype"):
        raise ImageError(f"{url} is of the type {type(array).__name__}; give an array of numbers")
    try:
        dtype = np.dtype(array.dtype)
    except TypeError:
        raise ImageError(
            f"{url} has dtype {array.dtype}, which numpy does not know; give a numpy array"
        ) from None
    if dtype.kind not in "biuf":
        raise ImageError(f"{url} has dtype {dtype}; voxels are integers, floats or booleans")
    # Dask does not know the shape of what it did not compute yet: it is NaN.
    if not all(n >= 1 for n in array.shape):
        raise ImageError(f"{url} has shape {tuple(array.shape)}; each axis needs a voxel")
    return tuple(int(n) for n in array.shape), dtype


def _letters(array: Array, shape: tuple[int, ...], axes: str, url: str) -> str:
    """The letters of the axes: those that the caller states, those of the array, or the usual."""
    stated = checked_letters(axes)
    if stated and len(stated) != len(shape):
        raise ImageError(f"{url} has shape {shape}; the axes {stated} are {len(stated)}")
    names: Sequence[object] = getattr(array, "dims", ())
    return named_letters(names, stated, url) or stated or unnamed_letters(shape, url)


def _axis(letter: str, voxel_size_um: Mapping[str, float]) -> Axis:
    axis = axis_named(letter, "micrometer" if letter in voxel_size_um else None)
    assert axis is not None
    return axis


def _chunks(array: Array, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Voxels per axis that are cheap to read at once: the largest chunk, or else a square."""
    chunks = getattr(array, "chunks", None)
    if not chunks:
        return (1,) * (len(shape) - 2) + tuple(min(n, _SIDE) for n in shape[-2:])
    return tuple(n if isinstance(n, int) else max(n) for n in chunks)
