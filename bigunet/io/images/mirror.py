"""Mirroring: which voxels of an image stand for those beyond its border.

::

    position   -3 -2 -1 | 0  1  2  3 | 4  5  6      an axis of 4 voxels
    voxel       3  2  1 | 0  1  2  3 | 2  1  0
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bigunet.errors import GeometryError
from bigunet.geometry import Box
from bigunet.io.images.reader import Reader


def mirror_indices(start: int, stop: int, size: int) -> np.ndarray:
    """Which of ``size`` voxels stand at positions ``start`` to ``stop`` of the mirrored axis.

    The edge voxel is not repeated (numpy's ``reflect``), and the mirror repeats without end.

    Returns
    -------
    ndarray of int64, shape (stop - start,)

    Raises
    ------
    GeometryError
        If the axis has no voxel.

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


def read_mirrored(read_inside: Callable[[Box], np.ndarray], box: Box, reader: Reader) -> np.ndarray:
    """Read a box that may leave the image, by means of one box that lies inside.

    Parameters
    ----------
    read_inside : callable
        Returns the voxels (channel, *box.shape) of a box that lies inside the image and is not
        empty, in any byte order.
    box : Box
    reader : Reader
        Its axes, shape, dtype and number of channels are those of the image.

    Returns
    -------
    ndarray, shape (channel, *box.shape)
        C-contiguous, of the reader's dtype. Where nothing is mirrored it may be the array that
        ``read_inside`` returned.

    Raises
    ------
    GeometryError
        If the box has another number of axes than the image.
    """
    if box.ndim != len(reader.shape):
        raise GeometryError(
            f"box {box} has {box.ndim} axes; the image has {', '.join(reader.axes)}"
        )
    if box.size == 0:
        return np.empty((reader.num_channels, *box.shape), reader.dtype)
    indices = [
        mirror_indices(start, stop, size)
        for start, stop, size in zip(box.start, box.stop, reader.shape)
    ]
    inside = Box(
        tuple(int(index.min()) for index in indices),
        tuple(int(index.max()) + 1 for index in indices),
    )
    voxels = read_inside(inside)
    for axis, (index, start) in enumerate(zip(indices, inside.start), start=1):
        if not _is_run(index):
            voxels = voxels.take(index - start, axis=axis)
    return np.ascontiguousarray(voxels, dtype=reader.dtype)


def _is_run(index: np.ndarray) -> bool:
    """Whether the indices go up by one: mirrored, they never go up by more."""
    return int(index[-1]) - int(index[0]) + 1 == len(index)
