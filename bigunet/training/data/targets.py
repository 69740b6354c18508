"""Targets: the classes that a network learns, made from the labels that people draw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import numpy as np

from bigunet.errors import TrainingError
from bigunet.io.sources.annotations import is_annotated
from bigunet.options.choices import TargetKind

BACKGROUND, CELL, BORDER = 0, 1, 2
BOUNDARY, INTERIOR = 0, 1
_NAMES: dict[TargetKind, tuple[str, ...]] = {
    "cells": ("background", "cell", "border"),
    "boundaries": ("boundary", "interior"),
}
_MOST_CLASSES = 256


@dataclass(frozen=True, slots=True)
class TargetRule:
    """How labels become classes.

    Parameters
    ----------
    kind : {"classes", "cells", "boundaries"}
        ``classes``: ``values[k]`` becomes class k. ``cells``: background, cell and border of
        objects on label 0. ``boundaries``: boundary and interior of objects that fill the image;
        label 0 is boundary.
    values : tuple of int
        Label values of the classes, 2 to 256 different ones; empty for the other kinds.
    border_width : int
        Largest distance, in voxels, from a border voxel to another object. With 0 there is no
        border: cells have two classes then, and the boundary is where the label is 0.

    Raises
    ------
    TrainingError
        If these values do not fit together.
    """

    kind: TargetKind
    values: tuple[int, ...] = ()
    border_width: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(int(v) for v in self.values))
        if self.kind not in get_args(TargetKind):
            known = ", ".join(get_args(TargetKind))
            raise TrainingError(f"target is {self.kind!r}; known: {known}")
        if self.border_width < 0:
            raise TrainingError(f"border_width is {self.border_width}; give 0 or more")
        if self.kind != "classes" and self.values:
            raise TrainingError(f"the target {self.kind} takes no values; given: {self.values}")
        if self.kind == "classes" and not 2 <= len(self.values) <= _MOST_CLASSES:
            raise TrainingError(f"{len(self.values)} values for classes; give 2 to {_MOST_CLASSES}")
        twice = sorted({v for v in self.values if self.values.count(v) > 1})
        if twice:
            raise TrainingError(
                f"values {', '.join(map(str, twice))} come twice; give each class its own"
            )

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each class, in order."""
        if self.kind == "classes":
            return tuple("background" if v == 0 else f"class {v}" for v in self.values)
        names = _NAMES[self.kind]
        return names[:2] if self.border_width == 0 else names

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def margin(self) -> int:
        """Number of voxels on each side of a voxel that can change its class."""
        return 0 if self.kind == "classes" else self.border_width


def classes_of(labels: np.ndarray, rule: TargetRule) -> np.ndarray:
    """The class of each voxel.

    ``cells``: a voxel of an object is border if a different object lies within ``border_width``
    voxels, diagonals included. A background voxel is border if two objects do. Therefore cell
    voxels of two objects never touch, not even by a corner. ``boundaries``: a voxel of an object
    is boundary if a different object lies within ``border_width`` steps over faces.

    Parameters
    ----------
    labels : ndarray of int, (*space)
        ``NOT_ANNOTATED`` is neither an object nor background. Such a voxel gets class 0, which the
        caller must not count, and does not change the class of any other voxel.
    rule : TargetRule

    Returns
    -------
    ndarray of uint8, (*space)

    Raises
    ------
    TrainingError
        If the labels are not integers, or have a value that is no class.

    Examples
    --------
    >>> classes_of(np.array([0, 5, 5, 5, 7, 7, 0, 3]), TargetRule("cells"))
    array([0, 1, 1, 2, 2, 1, 2, 1], dtype=uint8)
    >>> classes_of(np.array([5, 5, 5, 7, 7, 0, 3]), TargetRule("boundaries"))
    array([1, 1, 0, 0, 1, 0, 1], dtype=uint8)
    """
    if labels.dtype.kind not in "iub":
        raise TrainingError(f"labels are {labels.dtype}; targets are made from integers")
    if labels.dtype.kind == "b":
        labels = labels.astype(np.uint8)
    known = is_annotated(labels)
    if rule.kind == "classes":
        classes = np.zeros(labels.shape, np.uint8)
        classes[known] = _listed(labels[known], rule.values)
        return classes
    labels = np.where(known, labels, 0)
    met = known & _meeting(labels, rule.border_width, corners=rule.kind == "cells")
    if rule.kind == "cells":
        return np.where(met, BORDER, labels != 0).astype(np.uint8)
    return np.asarray((labels != 0) & ~met).astype(np.uint8)


def _listed(labels: np.ndarray, values: tuple[int, ...]) -> np.ndarray:
    """The index of each label in ``values``."""
    order = np.argsort(values)
    ranked = np.array(values)[order]
    place = np.searchsorted(ranked, labels).clip(max=len(ranked) - 1)
    wrong = ranked[place] != labels
    if wrong.any():
        raise TrainingError(
            f"label {labels[wrong][0]} is none of the classes' values "
            f"{', '.join(map(str, values))}; add it to --label-values, give --ignore "
            f"{labels[wrong][0]} if it means not annotated, or correct the labels"
        )
    return np.asarray(order.astype(np.uint8)[place])


def _meeting(labels: np.ndarray, width: int, *, corners: bool) -> np.ndarray:
    """Voxels with two different objects within ``width`` voxels; a voxel's own object counts."""
    limits = np.iinfo(labels.dtype)
    # Background must not become an extreme. An object that has such an extreme number is not lost:
    # it counts as the opposite extreme.
    highest = _spread(np.where(labels == 0, limits.min, labels), np.maximum, width, corners)
    lowest = _spread(np.where(labels == 0, limits.max, labels), np.minimum, width, corners)
    return np.asarray(highest > lowest)


def _spread(labels: np.ndarray, extreme: np.ufunc, width: int, corners: bool) -> np.ndarray:
    """The extreme label of each voxel's neighbours within ``width`` steps.

    Scipy's filters are not used: they compute in float64, which merges large object numbers.
    """
    for _ in range(width):
        before = labels
        labels = labels.copy()
        for axis in range(labels.ndim):
            # With corners, each axis continues from the result of the axis before it.
            known = labels.copy() if corners else before
            old, new = known.swapaxes(0, axis), labels.swapaxes(0, axis)
            extreme(new[1:], old[:-1], out=new[1:])
            extreme(new[:-1], old[1:], out=new[:-1])
    return labels
