"""Decoded voxels that are kept: a bounded memory of small images, one per process.

It also cuts mirrored boxes, from whatever gives boxes inside an image.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np

from bigunet.errors import GeometryError
from bigunet.geometry import Box
from bigunet.io.images.volume import mirror_indices


class DecodedImages:
    """Whole images by key, the least recently used dropped first; threads may share it.

    Parameters
    ----------
    max_bytes : int
        Of all images together; the latest one is kept even if it alone is larger.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._images: OrderedDict[str, np.ndarray] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: str, decode: Callable[[], np.ndarray]) -> np.ndarray:
        """The image of ``key``, decoded unless it is kept; it is not to be written to."""
        with self._lock:
            kept = self._images.get(key)
            if kept is not None:
                self._images.move_to_end(key)
                return kept
        image = decode()
        image.flags.writeable = False
        with self._lock:
            # Two threads may both have decoded it: that costs time and needs no waiting.
            self._forget(key)
            self._images[key] = image
            self._bytes += image.nbytes
            while self._bytes > self.max_bytes and len(self._images) > 1:
                self._forget(next(iter(self._images)))
        return image

    def _forget(self, key: str) -> None:
        image = self._images.pop(key, None)
        self._bytes -= 0 if image is None else image.nbytes


def read_mirrored(
    read_inside: Callable[[Box], np.ndarray], box: Box, shape: Sequence[int]
) -> np.ndarray:
    """A box of an image of ``shape``, mirrored as numpy's ``reflect`` where it leaves the image.

    Parameters
    ----------
    read_inside : callable
        Gives (channel, *box.shape) of a box inside the image, which is not empty.
    box : Box
    shape : sequence of int

    Returns
    -------
    ndarray, shape (channel, *box.shape)
        C-contiguous; an array of its own only where mirrored.

    Raises
    ------
    GeometryError
        If the box has other dimensions than the image.
    """
    if box.ndim != len(shape):
        raise GeometryError(f"box {box} has {box.ndim} axes; the image has {len(shape)}")
    indices = [
        mirror_indices(start, max(stop, start + 1), size)
        for start, stop, size in zip(box.start, box.stop, shape)
    ]
    low = tuple(int(index.min()) for index in indices)
    slab = Box(low, tuple(int(index.max()) + 1 for index in indices))
    voxels = read_inside(slab)
    if box.size == 0:
        return np.empty((len(voxels), *box.shape), voxels.dtype)
    for axis, (index, start) in enumerate(zip(indices, low), start=1):
        if int(index[-1]) - int(index[0]) + 1 != len(index):
            voxels = voxels.take(index - start, axis=axis)
    return np.ascontiguousarray(voxels)
