"""The overlap table of two label arrays: how many voxels each pair of labels shares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bigunet.errors import OptionError


@dataclass(frozen=True, slots=True)
class OverlapTable:
    """Voxel counts of the labels of two arrays, and of the pairs of labels that share voxels.

    Parameters
    ----------
    first_labels, second_labels : ndarray, (labels,)
        Labels of each array, in ascending order.
    first_sizes, second_sizes : ndarray of int64, (labels,)
        Number of voxels of each label, in the order of ``first_labels`` and ``second_labels``.
    first, second : ndarray of int64, (pairs,)
        Positions of the two labels of each pair in ``first_labels`` and ``second_labels``.
    shared : ndarray of int64, (pairs,)
        Number of voxels that have both labels of a pair.
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
        """Count the voxels of two arrays of equal shape. Each value is a label; 0 is one, too."""
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
    """Labels and lengths of the runs of voxels with the same label in each array.

    Sorting takes most of the time. Segments are about ten voxels long in a row, so there are ten
    times fewer runs than voxels to sort.
    """
    changes = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
    starts = np.flatnonzero(np.concatenate([np.ones(min(1, first.size), bool), changes]))
    return first[starts], second[starts], np.diff(starts, append=first.size)


def _counted(places: np.ndarray, lengths: np.ndarray, size: int) -> np.ndarray:
    """Number of voxels at each place, summed over the runs; exact up to 2^53 voxels."""
    return np.bincount(places, lengths, minlength=size).astype(np.int64)


def check_labels(truth: np.ndarray, prediction: np.ndarray) -> None:
    """Refuse arrays that cannot be compared as labels.

    Raises
    ------
    OptionError
        If the shapes differ, or a value is negative or not a whole number.
    """
    check_shapes(truth, prediction)
    for name, labels in (("truth", truth), ("segmentation", prediction)):
        if labels.dtype.kind not in "iu" or (labels.size and labels.min() < 0):
            raise OptionError(f"the {name} is {labels.dtype}; give labels, whole and not negative")


def check_shapes(truth: np.ndarray, prediction: np.ndarray) -> None:
    """Refuse arrays of different shape.

    Raises
    ------
    OptionError
        If the shapes differ.
    """
    if truth.shape != prediction.shape:
        raise OptionError(
            f"the truth is {truth.shape} and the segmentation {prediction.shape}; "
            "give the same level"
        )
