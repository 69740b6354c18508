"""The overlap table of two label arrays: every pair of labels that share voxels, and how many."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bigunet.errors import OptionError


@dataclass(frozen=True, slots=True)
class OverlapTable:
    """Labels of two arrays counted together; only pairs that occur are kept.

    Parameters
    ----------
    first_sizes, second_sizes : ndarray of int64, (labels,)
        Voxels of each label of the arrays, in the order of ``first_labels`` and
        ``second_labels``.
    first_labels, second_labels : ndarray, (labels,)
        The values, ascending.
    first, second : ndarray of int64, (pairs,)
        Of each pair, the positions of its labels in those.
    shared : ndarray of int64, (pairs,)
        Voxels that have both labels.
    """

    first_labels: np.ndarray
    first_sizes: np.ndarray
    second_labels: np.ndarray
    second_sizes: np.ndarray
    first: np.ndarray
    second: np.ndarray
    shared: np.ndarray

    @classmethod
    def of(cls, first: np.ndarray, second: np.ndarray) -> OverlapTable:
        """Count two arrays of equal shape; every value is a label, 0 too."""
        first, second, lengths = _runs(first.reshape(-1), second.reshape(-1))
        first_labels, rows = np.unique(first, return_inverse=True)
        second_labels, columns = np.unique(second, return_inverse=True)
        width = max(1, len(second_labels))
        pairs, places = np.unique(rows * width + columns, return_inverse=True)
        return cls(
            first_labels,
            _counted(rows, lengths, len(first_labels)),
            second_labels,
            _counted(columns, lengths, len(second_labels)),
            pairs // width,
            pairs % width,
            _counted(places, lengths, len(pairs)),
        )


def _runs(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels of runs of voxels that are alike in both arrays, and the lengths of the runs.

    Sorting is what takes time, and segments are some ten voxels long along a row.
    """
    changes = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
    starts = np.flatnonzero(np.concatenate([np.ones(min(1, first.size), bool), changes]))
    return first[starts], second[starts], np.diff(starts, append=first.size)


def _counted(places: np.ndarray, lengths: np.ndarray, size: int) -> np.ndarray:
    """Voxels of the runs of each place; float64 is exact up to 2^53 of them."""
    return np.bincount(places, lengths, minlength=size).astype(np.int64)


def check_labels(truth: np.ndarray, found: np.ndarray) -> None:
    """Refuse arrays that cannot be compared as labels.

    Raises
    ------
    OptionError
        If the shapes differ, or the values are not whole numbers from 0.
    """
    check_shapes(truth, found)
    for name, labels in (("truth", truth), ("segmentation", found)):
        if labels.dtype.kind not in "iu" or (labels.size and labels.min() < 0):
            raise OptionError(f"the {name} is {labels.dtype}; give labels, whole and not negative")


def check_shapes(truth: np.ndarray, found: np.ndarray) -> None:
    """Refuse arrays of different shape.

    Raises
    ------
    OptionError
        If the shapes differ.
    """
    if truth.shape != found.shape:
        raise OptionError(
            f"the truth is {truth.shape} and the segmentation {found.shape}; give the same level"
        )
