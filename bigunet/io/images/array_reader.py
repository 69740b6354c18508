"""Reading boxes of an array whose axes have names, in whatever order they are stored."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from bigunet.errors import OptionError
from bigunet.geometry import Box
from bigunet.io.images.channels import listed
from bigunet.io.images.mirror import read_mirrored
from bigunet.io.images.multiscale import ImageDescription
from bigunet.io.images.units import scale_um
from bigunet.stores.access import reading

Selection = tuple[slice | np.ndarray, ...]
"""A part of an array, per stored axis; at most one entry holds indices, which increase."""


class ArrayReader(ABC):
    """A :class:`bigunet.io.images.reader.LevelReader` of a level that is an array.

    A subclass says how a part of the array is cut out. This class brings the axes into order,
    chooses the channels and mirrors the voxels.

    Parameters
    ----------
    image : ImageDescription
    level : int, optional
    channels : sequence of int, optional
        Indices of the channels to read, in this order; an index may come twice.

    Raises
    ------
    OptionError
        If the image has no such level or channel.
    """

    reads_parts = True
    """Whether a box can be read without decoding the whole array."""

    def __init__(
        self, image: ImageDescription, *, level: int = 0, channels: Sequence[int] = (0,)
    ) -> None:
        stored = image.level(level)
        self._channels = tuple(int(k) for k in channels)
        if not self._channels or not all(0 <= k < image.num_channels for k in self._channels):
            raise OptionError(
                f"channels {self._channels} of {image.url}: choose one or more of "
                f"{listed(image.channel_names)}"
            )
        self._ndim = len(stored.shape)
        self._channel_axis = image.channel_axis
        self._order = image.volume_order
        self.url = image.url
        self.axes = image.volume_axes
        self.shape = image.volume_shape(level)
        self.chunk = image.volume_chunks(level)
        self.dtype: np.dtype[Any] = np.dtype(stored.dtype)
        self.num_channels = len(self._channels)
        self.scale_um = scale_um(image, level)

    def read(self, box: Box) -> np.ndarray:
        """See :meth:`bigunet.io.images.reader.Reader.read`."""
        with reading(f"box {box} of {self._place()}"):
            return read_mirrored(self._read_inside, box, self)

    def is_stored(self, box: Box) -> bool:
        """See :meth:`bigunet.io.images.reader.LevelReader.is_stored`."""
        return True

    @abstractmethod
    def _cut(self, selection: Selection) -> np.ndarray:
        """Voxels of a part of the array, in storage order and any byte order."""

    def _place(self) -> str:
        """Address of the array."""
        return self.url

    def _read_inside(self, box: Box) -> np.ndarray:
        """Voxels of a box inside the image, shape (channel, *box.shape), any byte order."""
        selection: list[slice | np.ndarray] = [slice(None)] * self._ndim
        for stored, part in zip(self._order, box.within(Box.of_shape(self.shape))):
            selection[stored] = part
        if self._channel_axis is None:
            voxels = self._cut(tuple(selection)).transpose(self._order)[np.newaxis]
            return voxels.take([0] * self.num_channels, axis=0) if self.num_channels > 1 else voxels
        read = sorted(set(self._channels))
        is_run = read[-1] - read[0] + 1 == len(read)
        selection[self._channel_axis] = slice(read[0], read[-1] + 1) if is_run else np.array(read)
        voxels = self._cut(tuple(selection)).transpose(self._channel_axis, *self._order)
        if list(self._channels) == read:
            return voxels
        return voxels.take([read.index(k) for k in self._channels], axis=0)
