"""Ids of the voxels of one block: local labels become ids, and objects grow into the border class.

Both look at a bounded neighbourhood. Growth needs the ids of a halo as wide as the growth, before
any growth; the caller reads them.

::

    +-----------------+
    | halo  +-------+ |     read: ids without growth, and where the border class is
    |       | write | |
    |       +-------+ |     write: what grown_block returns
    +-----------------+
"""

from __future__ import annotations

import numpy as np

from bigunet.errors import GeometryError, LabelsError
from bigunet.geometry import Box
from bigunet.labels import grow


def ids_of_labels(labels: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Ids of voxels from their local labels.

    Parameters
    ----------
    labels : ndarray of int, (*space)
        Fragments of one block; 0 is no object.
    ids : ndarray of uint32 or uint64, (num_fragments + 1,)
        Id of each fragment: see :meth:`bigunet.objects.numbering.ObjectIds.of_block`.

    Raises
    ------
    LabelsError
        If the block has another number of fragments.

    Examples
    --------
    >>> ids_of_labels(np.array([0, 2, 1, 1]), np.array([0, 70, 5], np.uint32))
    array([ 0,  5, 70, 70], dtype=uint32)
    """
    num_fragments = int(labels.max(initial=0))
    if num_fragments != len(ids) - 1:
        raise LabelsError(
            f"the block has {num_fragments} fragments, and ids are given for {len(ids) - 1}; "
            "its classes have changed since its fragments were counted: count them again"
        )
    return np.asarray(ids[labels])


def box_to_read(write: Box, volume: Box, width: int, *, ndim: int | None = None) -> Box:
    """The box to read for growth by ``width``: the block and its halo, inside the volume.

    The halo is along the last ``ndim`` axes, as the growth; by default along all.

    >>> print(box_to_read(Box((0, 8), (8, 16)), Box((0, 0), (20, 20)), 2))
    [0:10, 6:18]
    """
    num_frame_axes = 0 if ndim is None else write.ndim - ndim
    margin = (0,) * num_frame_axes + (width,) * (write.ndim - num_frame_axes)
    return write.grow(margin).intersection(volume)


def grown_block(
    ids: np.ndarray,
    border: np.ndarray,
    *,
    read: Box,
    write: Box,
    width: int,
    ndim: int | None = None,
) -> np.ndarray:
    """Ids of one block after growth into the border class.

    Parameters
    ----------
    ids : ndarray of uint32 or uint64, (*space)
        Ids of ``read``, without any growth.
    border : ndarray of bool, (*space)
        Voxels of ``read`` that objects may get: see :func:`bigunet.labels.grow`.
    read : Box
        That of :func:`box_to_read`.
    write : Box
        The block.
    width : int
        How far objects grow, in voxels.
    ndim : int, optional
        Objects grow along the last ``ndim`` axes only; by default, along all.

    Returns
    -------
    ndarray of the type of ``ids``
        Ids of ``write``.

    Raises
    ------
    GeometryError
        If an array does not have the shape of ``read``, or ``read`` does not contain ``write``.
    """
    if ids.shape != read.shape or border.shape != read.shape:
        raise GeometryError(f"ids {ids.shape} and border {border.shape} are not those of {read}")
    return grow(ids, border, width, ndim=ndim)[write.within(read)]
