"""An array that a caller gives: its axes, its size, its voxels part by part; any kind of array."""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from distributed import futures_of

from bigunet.arrays.coordinates import channel_names, sizes_of_coordinates
from bigunet.arrays.voxel_sizes import VoxelSize, checked_sizes
from bigunet.errors import ImageError
from bigunet.geometry import Box
from bigunet.io.images.multiscale import ImageDescription
from bigunet.io.sources.array_source import describe_array

NAME = "the array"
"""What messages call it."""

_PART_BYTES = 2**25
_FEWEST_VOXELS = 2**12
_SIDE = 512


@dataclass(frozen=True)
class GivenArray:
    """An array, and what it is as an image.

    Parameters
    ----------
    array : array of numpy, dask, xarray or zarr, or another that slices
    image : ImageDescription
        Its axes in the order of the array; the chunks are those that it gets on disk.
    """

    array: Any
    image: ImageDescription

    @classmethod
    def of(cls, array: Any, axes: str, voxel_size_um: VoxelSize | None) -> GivenArray:
        """Describe an array; no voxel is read.

        Parameters
        ----------
        array : array
        axes : str
            Letters of the axes; empty if the array names them, or has the usual ones.
        voxel_size_um : float, sequence or mapping, optional

        Raises
        ------
        ImageError
            If it is no array of numbers, or its axes are not clear.
        OptionError
            If the axes or the sizes of voxels do not fit the array.
        """
        image = describe_array(array, axes, {}, NAME)
        letters = "".join(axis.name for axis in image.axes)
        sizes: Mapping[str, float] = {}
        names: tuple[str, ...] = image.channel_names
        if is_xarray(array):
            sizes, names = sizes_of_coordinates(array, letters), channel_names(array, letters)
        sizes = checked_sizes(voxel_size_um, letters, sizes)
        _check_is_stored(array)
        image = replace(describe_array(array, axes, sizes, NAME), channel_names=names)
        return cls(array, replace(image, levels=(_with_chunks(array, image),)))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.image.levels[0].shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.image.levels[0].dtype)

    @property
    def num_bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    def parts(self) -> Iterator[tuple[Box, np.ndarray]]:
        """All voxels, one part after the other: the chunks of a dask array, or about 32 MB."""
        for cell in itertools.product(*map(itertools.pairwise, self._edges())):
            box = Box(tuple(a for a, _ in cell), tuple(b for _, b in cell))
            yield box, self._cut(box)

    def _edges(self) -> list[list[int]]:
        """Where parts begin and end, per axis."""
        chunks = _dask_chunks(self.array)
        if chunks:
            # Dask also has chunks of no voxel.
            return [[0, *itertools.accumulate(n for n in sizes if n)] for sizes in chunks]
        sides = _part_sides(self.shape, self.image.levels[0].chunks, self.dtype.itemsize)
        return [[*range(0, n, side), n] for n, side in zip(self.shape, sides)]

    def _cut(self, box: Box) -> np.ndarray:
        part = self.array[box.within(Box.of_shape(self.shape))]
        if self._futures:
            part = self._futures[0].client.compute(part).result()
        elif hasattr(part, "compute"):
            # In this process: a Dask client would otherwise send the array to its workers.
            part = part.compute(scheduler="threads")
        part = getattr(part, "values", part) if is_xarray(part) else part
        if isinstance(part, np.ma.MaskedArray):
            raise ImageError(
                f"{NAME} is masked: give array.filled(VALUE), and a zarr with mask=PATH if voxels "
                "are to be left out"
            )
        voxels = np.asarray(part)
        if voxels.shape != box.shape or voxels.dtype.newbyteorder("=") != self.dtype:
            raise ImageError(
                f"{NAME} says that it has {self.dtype} of shape {box.shape} at {box.start}, and "
                f"gives {voxels.dtype} of shape {voxels.shape}; correct it, or give a numpy array"
            )
        return voxels

    @cached_property
    def _futures(self) -> Sequence[Any]:
        """Parts that a Dask cluster holds already, which this process cannot compute."""
        held: Sequence[Any] = futures_of(self.array) if _dask_chunks(self.array) else ()
        return held


def is_xarray(array: Any) -> bool:
    """Whether it is a DataArray of xarray, which is not imported for that."""
    xarray = sys.modules.get("xarray")
    return xarray is not None and isinstance(array, xarray.DataArray)


def _check_is_stored(array: Any) -> None:
    """Refuse a zarr array with chunks that are not stored: they are no image, but read as voxels.

    Raises
    ------
    ImageError
    """
    stored = getattr(array, "nchunks_initialized", None)
    if stored is not None and stored < array.nchunks:
        raise ImageError(
            f"{NAME} is a zarr of which {array.nchunks - stored} chunks are not stored: give its "
            "path to bigunet.segment, which knows that they are no image; or give array[:]"
        )


def _dask_chunks(array: Any) -> Sequence[Sequence[int]]:
    """Sizes of all chunks per axis; empty if it is no dask array."""
    chunks = getattr(array, "chunks", None) or ()
    return () if any(isinstance(sizes, int) for sizes in chunks) else chunks


def _with_chunks(array: Any, image: ImageDescription) -> Any:
    """The level with chunks of the array where they are regular, and neither tiny nor huge."""
    level = image.levels[0]
    own = tuple(
        sizes if isinstance(sizes, int) else sizes[0] if _is_regular(sizes) else 0
        for sizes in getattr(array, "chunks", None) or ()
    )
    voxels = math.prod(own) if own else 0
    num_bytes = voxels * np.dtype(level.dtype).itemsize
    if min(_FEWEST_VOXELS, math.prod(level.shape)) <= voxels and num_bytes <= _PART_BYTES:
        return replace(level, chunks=tuple(min(c, n) for c, n in zip(own, level.shape)))
    sides = {"y": _SIDE, "x": _SIDE}
    chunks = (min(n, sides.get(axis.name, 1)) for n, axis in zip(level.shape, image.axes))
    return replace(level, chunks=tuple(chunks))


def _is_regular(sizes: Sequence[int]) -> bool:
    """Whether all chunks are as long as the first, and the last is not longer."""
    return len(set(sizes[:-1]) - {sizes[0]}) == 0 and sizes[-1] <= sizes[0]


def _part_sides(shape: Sequence[int], chunks: Sequence[int], voxel_bytes: int) -> tuple[int, ...]:
    """Whole chunks that together have about 32 MB, whole along the last axes."""
    sides = list(chunks)
    for axis in reversed(range(len(shape))):
        more = _PART_BYTES // max(1, math.prod(sides) * voxel_bytes)
        sides[axis] = min(shape[axis], sides[axis] * max(1, more))
    return tuple(sides)
