"""Neighbouring voxels of a whole array at once: pairs of slices that are one step apart."""

from __future__ import annotations

import functools
import itertools

import numpy as np

from bigunet.geometry import Point

_Where = tuple[slice, ...]


@functools.cache
def moves(num_axes: int, ndim: int, connectivity: int) -> tuple[Point, ...]:
    """Moves by one voxel along one to ``connectivity`` of the last ``ndim`` axes.

    >>> moves(3, 2, 1)
    ((0, -1, 0), (0, 0, -1), (0, 0, 1), (0, 1, 0))
    """
    frames = (0,) * (num_axes - ndim)
    steps = itertools.product((-1, 0, 1), repeat=ndim)
    return tuple(frames + step for step in steps if 0 < ndim - step.count(0) <= connectivity)


def risen(values: np.ndarray, inside: np.ndarray, *, connectivity: int, ndim: int) -> np.ndarray:
    """The highest value of each voxel and its neighbours; 0 outside.

    Parameters
    ----------
    values : ndarray of float or bool, (*frames, *space)
        0 or more; 0 outside.
    inside : ndarray of bool, (*frames, *space)
    connectivity, ndim : int
        Which voxels are neighbours: see :class:`bigunet.objects.rule.ObjectRule`.
    """
    highest = values.copy()
    for move in moves(values.ndim, ndim, connectivity):
        ours, theirs = _apart(move)
        np.maximum(highest[ours], values[theirs], out=highest[ours])
    highest[~inside] = 0
    return highest


@functools.cache
def _apart(move: Point) -> tuple[_Where, _Where]:
    """Where voxels are that have a neighbour at ``move``, and where this neighbour is."""
    first, last, whole = slice(None, -1), slice(1, None), slice(None)
    ours = {-1: last, 0: whole, 1: first}
    theirs = {-1: first, 0: whole, 1: last}
    return tuple(ours[step] for step in move), tuple(theirs[step] for step in move)
