"""Agreement of objects: how the objects of a truth and of a prediction overlap and match."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bigunet.errors import OptionError
from bigunet.metrics.matches import Coverage, Matches
from bigunet.metrics.overlap import OverlapTable, check_labels

IOU_STEPS = tuple(round(0.5 + 0.05 * k, 2) for k in range(10))
"""Thresholds of the Data Science Bowl 2018 and of COCO: 0.5, 0.55, to 0.95."""


@dataclass(frozen=True, slots=True)
class ObjectOverlaps:
    """All objects of a truth and of a prediction, and the pairs that share voxels.

    All scores come from this one table, because counting the voxels is the slow part.

    Parameters
    ----------
    true_sizes, predicted_sizes : ndarray of int64, (objects,)
        Number of voxels of each object.
    true, predicted : ndarray of int64, (pairs,)
        Indices of the two objects of each pair in ``true_sizes`` and ``predicted_sizes``.
    shared : ndarray of int64, (pairs,)
        Number of voxels that are in both objects of a pair.
    """

    true_sizes: np.ndarray
    predicted_sizes: np.ndarray
    true: np.ndarray
    predicted: np.ndarray
    shared: np.ndarray

    @classmethod
    def of(cls, truth: np.ndarray, prediction: np.ndarray) -> ObjectOverlaps:
        """Overlaps of two label arrays of equal shape; 0 is background.

        Raises
        ------
        OptionError
            If the shapes differ, or a value is negative or not a whole number.
        """
        check_labels(truth, prediction)
        table = OverlapTable.of(truth, prediction)
        # Labels ascend, so a background is at index 0.
        true_shift = int((table.first_labels == 0).any())
        predicted_shift = int((table.second_labels == 0).any())
        objects = (table.first >= true_shift) & (table.second >= predicted_shift)
        return cls(
            table.first_sizes[true_shift:],
            table.second_sizes[predicted_shift:],
            table.first[objects] - true_shift,
            table.second[objects] - predicted_shift,
            table.shared[objects],
        )

    @property
    def iou(self) -> np.ndarray:
        """Intersection over union of each pair: ndarray of float64, (pairs,)."""
        return np.asarray(self.shared / self._union)

    @property
    def _union(self) -> np.ndarray:
        """Number of voxels that are in at least one object of each pair."""
        sizes = self.true_sizes[self.true] + self.predicted_sizes[self.predicted]
        return np.asarray(sizes - self.shared)

    def matches(self, iou: float = 0.5) -> Matches:
        """Pair the objects that share more than ``iou`` of their union.

        Raises
        ------
        OptionError
            If ``iou`` is below 0.5, where an object could be in two pairs, or not below 1.
        """
        if not 0.5 <= iou < 1:
            raise OptionError(f"iou is {iou}; give 0.5 to below 1, so that pairs are one to one")
        union = self._union
        pairs = self.shared > iou * union
        matched = int(pairs.sum())
        return Matches(
            matched,
            len(self.true_sizes) - matched,
            len(self.predicted_sizes) - matched,
            float((self.shared[pairs] / union[pairs]).sum()),
        )

    def coverage(self) -> Coverage:
        """How well predicted objects cover the objects of the truth."""
        most = 2 * self.shared > self.true_sizes[self.true]
        return Coverage(len(self.true_sizes), float(self.iou[most].sum()))


def match_objects(truth: np.ndarray, prediction: np.ndarray, *, iou: float = 0.5) -> Matches:
    """Pair the objects that share more than ``iou`` of their union.

    Parameters
    ----------
    truth, prediction : ndarray of int
        Of equal shape; 0 is background, and each other value is one object.
    iou : float
        0.5 to below 1. Below 0.5, an object could be in two pairs.

    Raises
    ------
    OptionError
        If the shapes differ, a value is negative or not a whole number, or ``iou`` is out of
        range.
    """
    return ObjectOverlaps.of(truth, prediction).matches(iou)


def average_precision(truth: np.ndarray, prediction: np.ndarray, *, iou: float = 0.5) -> float:
    """TP / (TP + FP + FN), where a pair of objects shares more than ``iou`` of its union.

    Parameters and errors are those of :func:`match_objects`.

    References
    ----------
    Caicedo et al.: Nucleus segmentation across imaging experiments: the 2018 Data Science Bowl,
    Nature Methods 2019, doi:10.1038/s41592-019-0612-7.

    Examples
    --------
    >>> average_precision(np.array([1, 1, 0, 2]), np.array([3, 3, 0, 0]))
    0.5
    """
    return match_objects(truth, prediction, iou=iou).average_precision


def average_precisions(
    truth: np.ndarray, prediction: np.ndarray, *, ious: Sequence[float] = IOU_STEPS
) -> dict[float, float]:
    """Average precision at several thresholds, from one count of the overlaps.

    Parameters and errors are those of :func:`match_objects`. The mean over the default
    thresholds is the score of the Data Science Bowl 2018.

    Examples
    --------
    >>> average_precisions(np.array([1, 1, 1, 1]), np.array([3, 3, 3, 0]), ious=(0.7, 0.75))
    {0.7: 1.0, 0.75: 0.0}
    """
    overlaps = ObjectOverlaps.of(truth, prediction)
    return {iou: overlaps.matches(iou).average_precision for iou in ious}


def panoptic_quality(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Panoptic quality of two label arrays.

    Parameters and errors are those of :func:`match_objects`.

    Examples
    --------
    >>> panoptic_quality(np.array([1, 1, 1, 0, 2]), np.array([3, 3, 0, 0, 0]))
    0.4444444444444444
    """
    return match_objects(truth, prediction).panoptic_quality


def seg_score(truth: np.ndarray, prediction: np.ndarray) -> float:
    """SEG of the Cell Tracking Challenge.

    Parameters and errors are those of :func:`match_objects`.

    Examples
    --------
    >>> seg_score(np.array([1, 1, 1, 0, 2]), np.array([3, 3, 0, 0, 0]))
    0.3333333333333333
    """
    return ObjectOverlaps.of(truth, prediction).coverage().seg
