"""Objects from masks: connected voxels of one value are one object."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from bigunet.geometry import Box
from bigunet.io.images.decoded import DecodedImages
from bigunet.io.images.mirror import mirror_indices
from bigunet.io.sources.annotations import NOT_ANNOTATED, is_annotated
from bigunet.io.sources.source import Source
from bigunet.labels import connected

_KEPT_BYTES = 2**28


class ConnectedLabels:
    """Numbered objects: the connected voxels of another source.

    An object does not end at the border of a box. To read a box, the whole planes under it (or
    volumes, if ``ndim`` is 3) are read and connected. The planes that were used last are kept.

    Parameters
    ----------
    source : Source
        Integers of one channel. 0 is no object. Voxels that nobody annotated stay so.
    ndim : int
        Number of axes, the last ones, along which voxels that share a face are connected.
    """

    num_channels = 1
    dtype = np.dtype(np.int32)

    def __init__(self, source: Source, ndim: int) -> None:
        self._source = source
        self._ndim = ndim
        self._kept = DecodedImages(_KEPT_BYTES)
        self.url = source.url
        self.axes = source.axes
        self.shape = source.shape
        self.scale_um = source.scale_um

    def read(self, box: Box) -> np.ndarray:
        """See :meth:`bigunet.io.images.reader.Reader.read`."""
        leading = len(self.shape) - self._ndim
        indices = [
            mirror_indices(start, stop, size)
            for start, stop, size in zip(box.start, box.stop, self.shape)
        ]
        objects = np.empty(box.shape, self.dtype)
        for cell in np.ndindex(*box.shape[:leading]):
            index = tuple(int(indices[k][i]) for k, i in enumerate(cell))
            plane = self._kept.get(index, partial(self._connect, index))
            objects[cell] = plane[np.ix_(*indices[leading:])]
        return objects[np.newaxis]

    def percentiles(self, quantiles: Sequence[float]) -> tuple[tuple[float, ...], ...]:
        """Percentiles of the masks."""
        return self._source.percentiles(quantiles)

    def _connect(self, index: tuple[int, ...]) -> np.ndarray:
        """Objects of the plane, or volume, at this index of the leading axes."""
        rest = self.shape[len(index) :]
        box = Box((*index, *(0,) * len(rest)), (*(i + 1 for i in index), *rest))
        labels = self._source.read(box)[0].reshape(rest)
        known = is_annotated(labels)
        return np.where(known, connected(np.where(known, labels, 0)), NOT_ANNOTATED)
