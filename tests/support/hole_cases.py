"""Filled holes of a whole array, in plain numpy with scipy's components."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from scipy import ndimage

from bigunet.geometry import Point


def filled_whole(classes: np.ndarray, largest: int, *, ndim: int, object_class: int) -> np.ndarray:
    """Classes of which holes of at most ``largest`` voxels are of the object class."""
    filled = classes.copy()
    for frame in np.ndindex(*classes.shape[: classes.ndim - ndim]):
        labels, count = ndimage.label(classes[frame] != object_class)
        sizes = np.bincount(labels.ravel(), minlength=count + 1)
        is_hole = sizes <= largest
        is_hole[[0, *np.unique(labels[_sides(labels.shape)])]] = False
        filled[frame][is_hole[labels]] = object_class
    return filled


def _sides(shape: Point) -> np.ndarray:
    """The voxels at the sides of axes of two voxels or more; all if there is no such axis."""
    at_side = np.full(shape, max(shape) == 1)
    for axis, (index, length) in enumerate(zip(np.indices(shape), shape, strict=True)):
        if shape[axis] > 1:
            at_side |= (index == 0) | (index == length - 1)
    return at_side


LARGEST = st.sampled_from([1, 3, 8, 30, 10**9])
"""Largest holes that are filled."""
