"""Reading boxes of a level that is a zarr array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import zarr

from bigunet.errors import ImageError
from bigunet.geometry import Box
from bigunet.io.images.array_reader import ArrayReader, Selection
from bigunet.io.images.multiscale import Multiscale
from bigunet.io.images.occupancy import StoredChunks
from bigunet.stores.access import join_url, open_array


class VolumeReader(ArrayReader):
    """Reads boxes of some channels of one level; threads and processes may share it.

    Parameters
    ----------
    image : Multiscale
    level : int, optional
    channels : sequence of int, optional
        Indices of the channels to read, in this order; an index may come twice.

    Raises
    ------
    OptionError
        If the image has no such level or channel.
    """

    def __init__(
        self, image: Multiscale, *, level: int = 0, channels: Sequence[int] = (0,)
    ) -> None:
        super().__init__(image, level=level, channels=channels)
        stored = image.level(level)
        self._path = stored.path
        self._stored_shape = stored.shape
        self._stored = StoredChunks(image, level=level, channels=self._channels)
        self._array: zarr.Array[Any] | None = None

    def is_stored(self, box: Box) -> bool:
        """Whether a voxel of a box lies in a stored chunk; else all have the fill value.

        Raises
        ------
        GeometryError
            If the box leaves the image.
        ImageError
            If the store cannot be read.
        """
        return bool(self._stored.read(box).any())

    def _cut(self, selection: Selection) -> np.ndarray:
        array = self._opened()
        by_indices = any(isinstance(part, np.ndarray) for part in selection)
        return np.asarray(array.oindex[selection] if by_indices else array[selection])

    def _place(self) -> str:
        return join_url(self.url, self._path)

    def _opened(self) -> zarr.Array[Any]:
        # Two threads may both open it: that costs a look-up and needs no lock.
        if self._array is None:
            array = open_array(self.url, self._path)
            if array.shape != self._stored_shape:
                raise ImageError(
                    f"{self._place()} has shape {array.shape}, but had {self._stored_shape} when "
                    "the image was opened; open the image again"
                )
            self._array = array
        return self._array

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_array": None}
