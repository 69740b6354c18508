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
        first_values, a = np.unique(first, return_inverse=True)
        second_values, b = np.unique(second, return_inverse=True)
        columns = max(1, len(second_values))
        pairs = np.unique_counts(a.ravel().astype(np.int64) * columns + b.ravel())
        rows = pairs.values // columns
        cells = pairs.values % columns
        return cls(
            first_values,
            np.bincount(a.ravel(), minlength=len(first_values)),
            second_values,
            np.bincount(b.ravel(), minlength=len(second_values)),
            rows,
            cells,
            pairs.counts,
        )


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
