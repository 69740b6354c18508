"""Instances: each connected part of a class is an object of its own, its border given back."""

from __future__ import annotations

import functools
import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from scipy import ndimage


def connected(labels: np.ndarray) -> np.ndarray:
    """Number the connected voxels of each value but 0 from 1 on, value by value.

    Returns
    -------
    ndarray of int32

    Examples
    --------
    >>> connected(np.array([7, 7, 0, 7, 5]))
    array([2, 2, 0, 3, 1], dtype=int32)
    """
    objects = np.zeros(labels.shape, np.int32)
    total = 0
    for value in np.unique(labels[labels != 0]):
        parts, count = ndimage.label(labels == value)
        objects[parts > 0] = parts[parts > 0] + total
        total += count
    return objects


def instances_of(
    classes: np.ndarray,
    cell: int,
    *,
    smallest: int = 0,
    border: int | None = None,
    border_width: int = 1,
) -> np.ndarray:
    """Objects of a class: its voxels that connect by faces are one.

    Parameters
    ----------
    classes : ndarray of int, (*space)
    cell : int
        The class that objects are of.
    smallest : int
        Objects of fewer voxels of that class are left out.
    border : int, optional
        The class that keeps touching objects apart, which it took voxels from: see :func:`grow`.
    border_width : int
        So many on each side.

    Returns
    -------
    ndarray of int32, (*space)
        0 is no object.

    Examples
    --------
    >>> instances_of(np.array([0, 1, 1, 2, 2, 1, 2, 0]), 1, border=2)
    array([0, 1, 1, 1, 2, 2, 2, 0], dtype=int32)
    """
    objects = connected((classes == cell).astype(np.uint8))
    small = np.bincount(objects.ravel(), minlength=1) < smallest
    small[0] = False
    objects[small[objects]] = 0
    return objects if border is None else grow(objects, classes == border, border_width)


def grow(objects: np.ndarray, into: np.ndarray, width: int) -> np.ndarray:
    """Give voxels to the nearest object that is within ``width`` voxels along every axis.

    Of objects that are equally near, the lowest number gets a voxel; so what a voxel gets depends
    on nothing farther than ``width``.

    Parameters
    ----------
    objects : ndarray of int, (*space)
        0 is no object.
    into : ndarray of bool, (*space)
        What may be given; objects keep their own voxels.
    width : int

    Returns
    -------
    ndarray of the type of ``objects``

    Examples
    --------
    >>> grow(np.array([0, 0, 5, 0, 0, 0]), np.array([1, 1, 1, 1, 1, 0], bool), 2)
    array([5, 5, 5, 5, 5, 0])
    """
    grown = objects.copy()
    padded = np.pad(objects, width)
    for ring in _rings(objects.ndim, width):
        nearest = _lowest(_moved(padded, offset, width) for offset in ring)
        free = into & (grown == 0)
        grown[free] = nearest[free]
    return grown


def _rings(ndim: int, width: int) -> list[list[tuple[int, ...]]]:
    """Offsets by their distance, the nearest first."""
    rings: dict[int, list[tuple[int, ...]]] = defaultdict(list)
    for offset in itertools.product(range(-width, width + 1), repeat=ndim):
        rings[sum(step**2 for step in offset)].append(offset)
    return [rings[distance] for distance in sorted(rings) if distance > 0]


def _moved(padded: np.ndarray, offset: Sequence[int], width: int) -> np.ndarray:
    where = (
        slice(width + step, n - width + step) for step, n in zip(offset, padded.shape, strict=True)
    )
    return padded[tuple(where)]


def _lowest(neighbours: Iterable[np.ndarray]) -> np.ndarray:
    """The lowest number of an object among the neighbours; 0 where none is one."""

    def lower(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        lowest = np.minimum(first, second)
        return np.asarray(np.where(lowest == 0, first + second, lowest))

    return functools.reduce(lower, neighbours)
