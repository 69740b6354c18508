"""Objects from labels or classes: connected voxels are one object, and objects grow back.

Training, evaluation and the reading of masks share this module, so that one word means the same
objects everywhere:

- `bigunet.io.sources.connected` numbers the connected voxels of masks: see :func:`connected`;
- `bigunet.training` validates a model by the objects of its classes, and `bigunet.evaluation`
  scores a segmentation by them: see :func:`instances_of`, which also returns to each object the
  voxels that the border class took from it;
- `bigunet.metrics` turns an interior map into segments.

Unless a caller asks for edges and corners as well, voxels are connected over faces: 4 neighbours in
2D, 6 in 3D. This module sees arrays in memory and nothing else; it reads no file and knows no
network.
"""

from __future__ import annotations

import functools
import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence

import cc3d
import numpy as np

from bigunet.errors import OptionError

_NUM_NEIGHBOURS = {1: 6, 2: 18, 3: 26}
"""Neighbours of a voxel in 3D, as cc3d counts them: over faces, edges and corners."""


def connected(labels: np.ndarray, *, connectivity: int = 1) -> np.ndarray:
    """Number the connected components of each value.

    The numbers begin at 1. Components of the lowest value come first; those of one value are in
    the order of their first voxel.

    Parameters
    ----------
    labels : ndarray of bool or int, (*space)
        One to three axes. Voxels of value 0 belong to no component.
    connectivity : int
        Which voxels are neighbours: 1 over faces, 2 over edges as well, 3 over corners as well; at
        most the number of axes.

    Returns
    -------
    ndarray of int32, (*space)
        0 where ``labels`` is 0.

    Raises
    ------
    OptionError
        If there are more than three axes, or there is no such connectivity.

    Examples
    --------
    >>> connected(np.array([7, 7, 0, 7, 5]))
    array([2, 2, 0, 3, 1], dtype=int32)
    """
    components = _components(labels, connectivity)
    if labels.dtype.kind == "b":
        return components
    values = np.zeros(components.max(initial=0) + 1, labels.dtype)
    values[components] = labels
    numbers = np.zeros(len(values), np.int32)
    numbers[1 + np.argsort(values[1:], kind="stable")] = np.arange(1, len(values))
    return np.asarray(numbers[components])


def _components(labels: np.ndarray, connectivity: int) -> np.ndarray:
    """Components of all values, numbered in the order of their first voxel, as int32."""
    if labels.ndim > 3:
        raise OptionError(f"labels have {labels.ndim} axes; give 1 to 3, such as one time point")
    if not 1 <= connectivity <= labels.ndim:
        raise OptionError(
            f"connectivity {connectivity} for {labels.ndim} axes; give 1 to {labels.ndim}"
        )
    if labels.dtype.kind == "b":
        labels = labels.astype(np.uint8)
    if labels.size == 1:
        # cc3d would turn the only value into a signed integer, which may be too small for it.
        return np.asarray(labels != 0, np.int32)
    # cc3d numbers in the order of memory, and takes native numbers that it could write to.
    native = np.require(labels, labels.dtype.newbyteorder("="), ["C", "W"])
    volume = native.reshape((1,) * (3 - labels.ndim) + labels.shape)
    components = cc3d.connected_components(
        volume, connectivity=_NUM_NEIGHBOURS[connectivity], out_dtype=np.uint32
    )
    return np.asarray(components.view(np.int32).reshape(labels.shape))


def instances_of(
    classes: np.ndarray,
    cell: int,
    *,
    smallest: int = 0,
    border: int | None = None,
    border_width: int = 1,
) -> np.ndarray:
    """Objects of one class: its voxels that are connected over faces are one object.

    Parameters
    ----------
    classes : ndarray of int, (*space)
    cell : int
        The class of the objects.
    smallest : int
        Objects with fewer voxels of that class are left out.
    border : int, optional
        The class that separates touching objects. Its voxels return to the objects: see
        :func:`grow`.
    border_width : int
        Width of the border on each side of an object, in voxels.

    Returns
    -------
    ndarray of int32, (*space)
        0 is no object.

    Examples
    --------
    >>> instances_of(np.array([0, 1, 1, 2, 2, 1, 2, 0]), 1, border=2)
    array([0, 1, 1, 1, 2, 2, 2, 0], dtype=int32)
    """
    objects = connected(classes == cell)
    small = np.bincount(objects.ravel(), minlength=1) < smallest
    small[0] = False
    objects[small[objects]] = 0
    return objects if border is None else grow(objects, classes == border, border_width)


def grow(
    objects: np.ndarray, into: np.ndarray, width: int, *, ndim: int | None = None
) -> np.ndarray:
    """Give each free voxel to the nearest object within ``width`` voxels along every axis.

    Where several objects are equally near, the lowest number gets the voxel. So the result at a
    voxel depends only on voxels within ``width``.

    Parameters
    ----------
    objects : ndarray of int, (*space)
        0 is no object.
    into : ndarray of bool, (*space)
        Voxels that an object may get. Objects keep the voxels that they have.
    width : int
        In voxels.
    ndim : int, optional
        Objects grow along the last ``ndim`` axes only; by default, along all.

    Returns
    -------
    ndarray of the type of ``objects``

    Examples
    --------
    >>> grow(np.array([0, 0, 5, 0, 0, 0]), np.array([1, 1, 1, 1, 1, 0], bool), 2)
    array([5, 5, 5, 5, 5, 0])
    """
    grown = objects.copy()
    num_frame_axes = 0 if ndim is None else objects.ndim - ndim
    widths = (0,) * num_frame_axes + (width,) * (objects.ndim - num_frame_axes)
    padded = np.ascontiguousarray(np.pad(objects, [(one, one) for one in widths]))
    # Few voxels are free, so that only these look at their neighbours.
    free = np.flatnonzero(into & (objects == 0))
    places = _places(free, objects.shape, widths)
    for ring in _rings(widths):
        nearest = _lowest(padded.ravel()[places + step] for step in _steps(ring, padded))
        got = nearest != 0
        grown.reshape(-1)[free[got]] = nearest[got]
        free, places = free[~got], places[~got]
    return grown


def _places(flat: np.ndarray, shape: Sequence[int], widths: Sequence[int]) -> np.ndarray:
    """Flat indices of an array as those of the array with a padding of ``widths``."""
    moved = [index + width for index, width in zip(np.unravel_index(flat, shape), widths)]
    padded_shape = [n + 2 * width for n, width in zip(shape, widths)]
    return np.ravel_multi_index(tuple(moved), padded_shape)


def _steps(ring: Sequence[Sequence[int]], padded: np.ndarray) -> list[int]:
    """How far a flat index moves for each offset."""
    strides = [stride // padded.itemsize for stride in padded.strides]
    return [sum(a * b for a, b in zip(offset, strides)) for offset in ring]


def _rings(widths: Sequence[int]) -> list[list[tuple[int, ...]]]:
    """Offsets, grouped by their distance; the nearest group comes first."""
    rings: dict[int, list[tuple[int, ...]]] = defaultdict(list)
    for offset in itertools.product(*(range(-width, width + 1) for width in widths)):
        rings[sum(step**2 for step in offset)].append(offset)
    return [rings[distance] for distance in sorted(rings) if distance > 0]


def _lowest(neighbours: Iterable[np.ndarray]) -> np.ndarray:
    """The lowest object number among the neighbours of each voxel; 0 where there is no object."""

    def lower(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        lowest = np.minimum(first, second)
        return np.asarray(np.where(lowest == 0, first + second, lowest))

    return functools.reduce(lower, neighbours)
