"""Segments, and the thinning of what lies between them to a line one voxel wide."""

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
        Of bool: True is interior, and voxels connected over faces (4 neighbours in 2D, 6 in 3D)
        are a segment. Of int: each value is a segment; 0 is what lies between them.

    Returns
    -------
    ndarray of int, (*space)
    """
    return connected(labels) if labels.dtype.kind == "b" else labels


def thin_borders(labels: np.ndarray) -> np.ndarray:
    """Grow all segments at equal speed, until only lines of 0 part them.

    Voxels are visited in the order in which a segment reaches them; one with neighbours (over
    faces) of one segment only joins that segment, one between two stays 0 for good. What no
    segment reaches stays 0 as well. Some 2 microseconds and 40 bytes per voxel that was 0.

    Parameters
    ----------
    labels : ndarray of int, (*space)
        0 is what is thinned.

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
    """To the neighbours of a voxel in the flat array of this shape, ascending."""
    strides = [int(np.prod(shape[axis + 1 :])) for axis in range(len(shape))]
    return sorted([-stride for stride in strides] + strides)


def _reached(flat: np.ndarray, steps: list[int]) -> np.ndarray:
    """Voxels of 0 beside a segment, in the order in which the segments' voxels reach them."""
    inside = np.flatnonzero(flat > 0)
    borders = np.zeros(inside.shape, bool)
    for step in steps:
        borders |= flat[inside + step] == 0
    beside = (inside[borders, np.newaxis] + np.array(steps)).reshape(-1)
    beside = beside[flat[beside] == 0]
    _, place = np.unique(beside, return_index=True)
    return np.asarray(beside[np.sort(place)])


def _grow(flat: memoryview, seen: bytearray, queue: deque[int], steps: list[int]) -> None:
    """Let the segments take the voxels of the queue, and those behind them, in order."""
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
