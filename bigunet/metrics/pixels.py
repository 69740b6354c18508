"""Agreement voxel by voxel of two yes-or-no maps: overlap, error, precision and recall."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bigunet.errors import OptionError
from bigunet.metrics.overlap import check_shapes


@dataclass(frozen=True, slots=True)
class PixelCounts:
    """Voxels by what was found and what is true; images add up.

    All scores are 0 to 1, and NaN where they divide nothing by nothing.

    Parameters
    ----------
    both : int
        Found and true.
    found_only, truth_only, neither : int
    """

    both: int = 0
    found_only: int = 0
    truth_only: int = 0
    neither: int = 0

    @classmethod
    def of(cls, found: np.ndarray, truth: np.ndarray) -> PixelCounts:
        """Count two maps of bool, of equal shape.

        Raises
        ------
        OptionError
            If the shapes differ, or a map is not of bool.
        """
        check_shapes(truth, found)
        for name, mask in (("truth", truth), ("segmentation", found)):
            if mask.dtype != np.bool_:
                raise OptionError(f"the {name} is {mask.dtype}; give a map of bool")
        both = int(np.count_nonzero(found & truth))
        in_found, in_truth = int(np.count_nonzero(found)), int(np.count_nonzero(truth))
        return cls(both, in_found - both, in_truth - both, found.size - in_found - in_truth + both)

    def __add__(self, other: PixelCounts) -> PixelCounts:
        return PixelCounts(
            self.both + other.both,
            self.found_only + other.found_only,
            self.truth_only + other.truth_only,
            self.neither + other.neither,
        )

    @property
    def dice(self) -> float:
        """Twice the common voxels by the voxels of both; the F-score of precision and recall."""
        return _share(2 * self.both, 2 * self.both + self.found_only + self.truth_only)

    @property
    def iou(self) -> float:
        """Common voxels by those of either; the Jaccard index."""
        return _share(self.both, self.both + self.found_only + self.truth_only)

    @property
    def precision(self) -> float:
        """Share of the found voxels that are true."""
        return _share(self.both, self.both + self.found_only)

    @property
    def recall(self) -> float:
        """Share of the true voxels that were found."""
        return _share(self.both, self.both + self.truth_only)

    @property
    def error(self) -> float:
        """Share of the voxels on which the maps differ."""
        wrong = self.found_only + self.truth_only
        return _share(wrong, wrong + self.both + self.neither)


def dice(found: np.ndarray, truth: np.ndarray) -> float:
    """Twice the common voxels by the voxels of both; NaN where both are empty.

    Parameters
    ----------
    found, truth : ndarray of bool
        Of equal shape.

    Raises
    ------
    OptionError
        If the shapes differ, or a map is not of bool.

    Examples
    --------
    >>> dice(np.array([True, True, False]), np.array([True, False, False]))
    0.6666666666666666
    """
    return PixelCounts.of(found, truth).dice


def iou(found: np.ndarray, truth: np.ndarray) -> float:
    """Common voxels by those of either; NaN where both are empty. As :func:`dice`.

    Examples
    --------
    >>> iou(np.array([True, True, False]), np.array([True, False, False]))
    0.5
    """
    return PixelCounts.of(found, truth).iou


def pixel_error(found: np.ndarray, truth: np.ndarray) -> float:
    """Share of the voxels on which two maps of bool differ. As :func:`dice`.

    Examples
    --------
    >>> pixel_error(np.array([True, True, False, False]), np.array([True, False, False, False]))
    0.25
    """
    return PixelCounts.of(found, truth).error


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan
