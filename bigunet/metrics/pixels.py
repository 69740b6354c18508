"""Agreement of two yes-or-no maps, voxel by voxel: overlap, error, precision and recall."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bigunet.errors import OptionError
from bigunet.metrics.overlap import check_shapes


@dataclass(frozen=True, slots=True)
class PixelCounts:
    """Number of voxels that are True in the prediction, the truth, both or neither.

    Counts of several images can be added. All scores are 0 to 1, or NaN where the denominator
    is 0.

    Parameters
    ----------
    both, prediction_only, truth_only, neither : int
        Number of voxels by the maps in which they are True.
    """

    both: int = 0
    prediction_only: int = 0
    truth_only: int = 0
    neither: int = 0

    @classmethod
    def of(cls, prediction: np.ndarray, truth: np.ndarray) -> PixelCounts:
        """Count the voxels of two maps of bool, of equal shape.

        Raises
        ------
        OptionError
            If the shapes differ, or a map is not of bool.
        """
        check_shapes(truth, prediction)
        for name, mask in (("truth", truth), ("segmentation", prediction)):
            if mask.dtype != np.bool_:
                raise OptionError(f"the {name} is {mask.dtype}; give a map of bool")
        both = int(np.count_nonzero(prediction & truth))
        predicted, true = int(np.count_nonzero(prediction)), int(np.count_nonzero(truth))
        return cls(both, predicted - both, true - both, truth.size - predicted - true + both)

    def __add__(self, other: PixelCounts) -> PixelCounts:
        return PixelCounts(
            self.both + other.both,
            self.prediction_only + other.prediction_only,
            self.truth_only + other.truth_only,
            self.neither + other.neither,
        )

    @property
    def dice(self) -> float:
        """Twice the common voxels, divided by the sum of the voxels of each map.

        It is the F-score of precision and recall.
        """
        return _share(2 * self.both, 2 * self.both + self.prediction_only + self.truth_only)

    @property
    def iou(self) -> float:
        """Intersection over union, the Jaccard index."""
        return _share(self.both, self.both + self.prediction_only + self.truth_only)

    @property
    def precision(self) -> float:
        """Share of the predicted voxels that are true."""
        return _share(self.both, self.both + self.prediction_only)

    @property
    def recall(self) -> float:
        """Share of the true voxels that are predicted."""
        return _share(self.both, self.both + self.truth_only)

    @property
    def error(self) -> float:
        """Share of the voxels on which the maps differ."""
        wrong = self.prediction_only + self.truth_only
        return _share(wrong, wrong + self.both + self.neither)


def dice(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Twice the common voxels, divided by the sum of the voxels of each map.

    NaN where both maps are empty.

    Parameters
    ----------
    prediction, truth : ndarray of bool
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
    return PixelCounts.of(prediction, truth).dice


def iou(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union; NaN where both maps are empty.

    Parameters and errors are those of :func:`dice`.

    Examples
    --------
    >>> iou(np.array([True, True, False]), np.array([True, False, False]))
    0.5
    """
    return PixelCounts.of(prediction, truth).iou


def pixel_error(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Share of the voxels on which two maps differ; NaN without voxels.

    Parameters and errors are those of :func:`dice`.

    Examples
    --------
    >>> pixel_error(np.array([True, True, False, False]), np.array([True, False, False, False]))
    0.25
    """
    return PixelCounts.of(prediction, truth).error


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan
