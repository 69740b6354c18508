"""Reading boxes of a volume, mirrored beyond its border; it decides nothing about blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import zarr

from bigunet.errors import GeometryError, ImageError, OptionError
from bigunet.geometry import Box
from bigunet.io.images.channels import listed
from bigunet.io.images.multiscale import Multiscale
from bigunet.io.stores.access import join_url, open_array, reading


def mirror_indices(start: int, stop: int, size: int) -> np.ndarray:
    """Which of ``size`` voxels stand at positions ``start`` to ``stop`` of the mirrored axis.

    The edge voxel is not repeated (numpy's ``reflect``), and the mirror repeats without end.

    Returns
    -------
    ndarray of int64, shape (stop - start,)

    Examples
    --------
    >>> mirror_indices(-2, 5, 3).tolist()
    [2, 1, 0, 1, 2, 1, 0]
    """
    if size < 1:
        raise GeometryError(f"an axis of {size} voxels cannot be mirrored; it needs at least 1")
    period = max(1, 2 * (size - 1))
    position = np.arange(start, stop, dtype=np.int64) % period
    return np.minimum(position, period - position) if size > 1 else position


class VolumeReader:
    """Reads boxes of some channels of one level; threads and processes may share it.

    Parameters
    ----------
    image : Multiscale
    level : int, optional
    channels : sequence of int, optional
        Which channels to read, in this order; one may come twice.

    Raises
    ------
    OptionError
        If the image has no such level or channel.
    """

    def __init__(
        self, image: Multiscale, *, level: int = 0, channels: Sequence[int] = (0,)
    ) -> None:
        self._image = image
        self._level = image.level(level)
        self._channels = tuple(int(k) for k in channels)
        if not self._channels or not all(0 <= k < image.num_channels for k in self._channels):
            raise OptionError(
                f"channels {self._channels} of {image.url}: choose one or more of "
                f"{listed(image.channel_names)}"
            )
        self._volume = Box.of_shape(image.volume_shape(level))
        self._array: zarr.Array[Any] | None = None

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the axes of :attr:`shape`, in canonical order."""
        return self._image.volume_axes

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the volume, without channels."""
        return self._volume.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Voxel type of what :meth:`read` returns, in native byte order."""
        return np.dtype(self._level.dtype)

    @property
    def num_channels(self) -> int:
        """How many channels :meth:`read` returns."""
        return len(self._channels)

    def read(self, box: Box) -> np.ndarray:
        """Read a box, mirrored where it leaves the volume.

        Returns
        -------
        ndarray, shape (channel, *box.shape)
            Axes in canonical order, C-contiguous, in the image's own dtype.

        Raises
        ------
        GeometryError
            If the box has other dimensions than the volume.
        ImageError
            If a voxel cannot be read or decoded.
        """
        if box.ndim != self._volume.ndim:
            raise GeometryError(
                f"box {box} has {box.ndim} axes; the volume has {', '.join(self.axes)}"
            )
        if box.size == 0:
            return np.empty((self.num_channels, *box.shape), self.dtype)
        indices = [
            mirror_indices(start, stop, size)
            for start, stop, size in zip(box.start, box.stop, self.shape)
        ]
        slab = Box(
            tuple(int(index.min()) for index in indices),
            tuple(int(index.max()) + 1 for index in indices),
        )
        with reading(f"box {box} of {join_url(self._image.url, self._level.path)}"):
            voxels = self._read_slab(slab)
        if slab != box:
            for axis, (index, start) in enumerate(zip(indices, slab.start), start=1):
                if not _is_run(index):
                    voxels = voxels.take(index - start, axis=axis)
        return np.ascontiguousarray(voxels, dtype=self.dtype)

    def _read_slab(self, slab: Box) -> np.ndarray:
        """Voxels of a box inside the volume, shape (channel, *slab.shape), any byte order."""
        array = self._opened()
        channel_axis = self._image.channel_axis
        selection: list[Any] = [slice(None)] * array.ndim
        for stored, part in zip(self._image.volume_order, slab.within(self._volume)):
            selection[stored] = part
        order = list(self._image.volume_order)
        if channel_axis is None:
            voxels = np.asarray(array[tuple(selection)]).transpose(order)[np.newaxis]
            return voxels.take([0] * self.num_channels, axis=0) if self.num_channels > 1 else voxels
        wanted = sorted(set(self._channels))
        first, last = wanted[0], wanted[-1]
        if last - first + 1 == len(wanted):
            selection[channel_axis] = slice(first, last + 1)
            stored_voxels = array[tuple(selection)]
        else:
            selection[channel_axis] = wanted
            stored_voxels = array.oindex[tuple(selection)]
        voxels = np.asarray(stored_voxels).transpose([channel_axis, *order])
        if self._channels == tuple(wanted):
            return voxels
        return voxels.take([wanted.index(k) for k in self._channels], axis=0)

    def _opened(self) -> zarr.Array[Any]:
        # Two threads may both open it: that costs a look-up and needs no lock.
        if self._array is None:
            array = open_array(self._image.url, self._level.path)
            if array.shape != self._level.shape:
                raise ImageError(
                    f"{join_url(self._image.url, self._level.path)} has shape {array.shape}, but "
                    f"had {self._level.shape} when the image was opened; open the image again"
                )
            self._array = array
        return self._array

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_array": None}


def _is_run(index: np.ndarray) -> bool:
    """Whether the indices go up by one: mirrored, they never go up by more."""
    return int(index[-1]) - int(index[0]) + 1 == len(index)
