"""Segments, and the thinning of the borders between them to lines of one voxel."""

from __future__ import annotations

from collections import deque

import numpy as np

from bigunet.labels import connected

_OUTSIDE = -1


def segments_of(labels: np.ndarray) -> np.ndarray:
    """Segments of an interior map or a label array.

    Parameters
    ----------
    labels : ndarray of bool or int, (*space)
        In an interior map (bool), True is interior, and voxels of the interior that are connected
        over faces are a segment. In a label array (int), each value is a segment, and 0 is
        between the segments.

    Returns
    -------
    ndarray of int, (*space)
    """
    return connected(labels) if labels.dtype.kind == "b" else labels


def thin_borders(labels: np.ndarray) -> np.ndarray:
    """Grow all segments at equal speed, until only lines of 0 separate them.

    Voxels are visited in the order in which a segment reaches them. If all segments next to a
    voxel (over its faces) are the same one, the voxel joins that segment. A voxel between two
    segments stays 0. A voxel that no segment reaches stays 0 as well. The cost is about 2
    microseconds and 40 bytes for each voxel of 0.

    Parameters
    ----------
    labels : ndarray of int, (*space)
        The voxels of 0 are the borders.

    Returns
    -------
    ndarray of int64, (*space)

    References
    ----------
    Arganda-Carreras et al.: Crowdsourcing the creation of image segmentation algorithms for
    connectomics, Frontiers in Neuroanatomy 2015, doi:10.3389/fnana.2015.00142: borders are
    thinned, so that their width is not scored.

    Examples
    --------
    >>> thin_borders(np.array([3, 0, 0, 0, 0, 8, 8]))
    array([3, 3, 3, 0, 8, 8, 8])
    """
    padded = np.pad(labels.astype(np.int64), 1, constant_values=_OUTSIDE)
    flat = padded.reshape(-1)
    steps = _steps_over_faces(padded.shape)
    first = _reached(flat, steps)
    seen = bytearray((flat != 0).tobytes())
    _grow(flat.data, seen, deque(first.tolist()), steps)
    return padded[(slice(1, -1),) * labels.ndim]


def _steps_over_faces(shape: tuple[int, ...]) -> list[int]:
    """Steps from a voxel to its neighbours in a flat array of this shape, ascending."""
    strides = [int(np.prod(shape[axis + 1 :])) for axis in range(len(shape))]
    return sorted([-stride for stride in strides] + strides)


def _reached(flat: np.ndarray, steps: list[int]) -> np.ndarray:
    """Voxels of 0 next to a segment, in the order in which the segments reach them."""
    inside = np.flatnonzero(flat > 0)
    borders = np.zeros(inside.shape, bool)
    for step in steps:
        borders |= flat[inside + step] == 0
    beside = (inside[borders, np.newaxis] + np.array(steps)).reshape(-1)
    beside = beside[flat[beside] == 0]
    _, place = np.unique(beside, return_index=True)
    return np.asarray(beside[np.sort(place)])


def _grow(flat: memoryview, seen: bytearray, queue: deque[int], steps: list[int]) -> None:
    """Visit the voxels of the queue, and then the voxels behind each that joined a segment."""
    for voxel in queue:
        seen[voxel] = True
    while queue:
        voxel = queue.popleft()
        label = 0
        for step in steps:
            other = flat[voxel + step]
            if other > 0 and other != label:
                if label:
                    break
                label = other
        else:
            flat[voxel] = label
            for step in steps:
                if not seen[voxel + step]:
                    seen[voxel + step] = True
                    queue.append(voxel + step)
