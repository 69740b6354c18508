"""Agreement object by object: which were found, missed or invented, and how well they overlap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bigunet.errors import OptionError
from bigunet.metrics.overlap import OverlapTable, check_labels

IOU_STEPS = tuple(round(0.5 + 0.05 * k, 2) for k in range(10))
"""Thresholds of the Data Science Bowl 2018 and of COCO: 0.5, 0.55, to 0.95."""


@dataclass(frozen=True, slots=True)
class Matches:
    """Objects of the truth and of a segmentation, paired one to one; images add up.

    Parameters
    ----------
    matched : int
        Pairs.
    missed, spurious : int
        Objects of the truth, and of the segmentation, that are in no pair.
    iou_sum : float
        Intersection over union, summed over the pairs.
    """

    matched: int = 0
    missed: int = 0
    spurious: int = 0
    iou_sum: float = 0.0

    def __add__(self, other: Matches) -> Matches:
        return Matches(
            self.matched + other.matched,
            self.missed + other.missed,
            self.spurious + other.spurious,
            self.iou_sum + other.iou_sum,
        )

    @property
    def average_precision(self) -> float:
        """TP / (TP + FP + FN); 1 where there was nothing to find and nothing was found."""
        total = self.matched + self.missed + self.spurious
        return self.matched / total if total else 1.0

    @property
    def recognition_quality(self) -> float:
        """TP / (TP + FP/2 + FN/2), the F-score; 1 where there was nothing to find or found."""
        total = self.matched + (self.missed + self.spurious) / 2
        return self.matched / total if total else 1.0

    @property
    def segmentation_quality(self) -> float:
        """Mean intersection over union of the pairs; NaN without pairs, of which there is none.

        Panoptic quality, SQ × RQ by the paper that :attr:`panoptic_quality` names, is defined
        all the same: the sum over the pairs by TP + FP/2 + FN/2, and so 0.
        """
        return self.iou_sum / self.matched if self.matched else math.nan

    @property
    def panoptic_quality(self) -> float:
        """Segmentation quality × recognition quality; 0 without pairs.

        It is 1 where there was nothing to find and nothing was found.

        References
        ----------
        Kirillov et al.: Panoptic segmentation, CVPR 2019, doi:10.1109/CVPR.2019.00963.
        """
        total = self.matched + (self.missed + self.spurious) / 2
        return self.iou_sum / total if total else 1.0


@dataclass(frozen=True, slots=True)
class Coverage:
    """How well the objects of the truth are covered, each by one found object; images add up.

    Parameters
    ----------
    objects : int
        Of the truth.
    iou_sum : float
        Over them, the intersection over union with the found object that covers more than half
        of it, and 0 where there is none.
    """

    objects: int = 0
    iou_sum: float = 0.0

    def __add__(self, other: Coverage) -> Coverage:
        return Coverage(self.objects + other.objects, self.iou_sum + other.iou_sum)

    @property
    def seg(self) -> float:
        """Mean over the objects of the truth; 1 where there are none.

        References
        ----------
        Maška et al.: A benchmark for comparison of cell tracking algorithms, Bioinformatics
        2014, doi:10.1093/bioinformatics/btu080.
        """
        return self.iou_sum / self.objects if self.objects else 1.0


@dataclass(frozen=True, slots=True)
class ObjectOverlaps:
    """Every object of the truth and of a segmentation, and the overlap of those that meet.

    All scores come from this one table; counting the voxels is the slow part.

    Parameters
    ----------
    true_sizes, found_sizes : ndarray of int64, (objects,)
        Voxels.
    true, found : ndarray of int64, (pairs,)
        Of each pair that meets, the indices of its objects.
    shared : ndarray of int64, (pairs,)
        Voxels in both.
    """

    true_sizes: np.ndarray
    found_sizes: np.ndarray
    true: np.ndarray
    found: np.ndarray
    shared: np.ndarray

    @classmethod
    def of(cls, truth: np.ndarray, found: np.ndarray) -> ObjectOverlaps:
        """Overlaps of two label arrays of equal shape; 0 is background.

        Raises
        ------
        OptionError
            If the shapes differ or the values are no labels.
        """
        check_labels(truth, found)
        table = OverlapTable.of(truth, found)
        true_shift = int((table.first_labels == 0).any())
        found_shift = int((table.second_labels == 0).any())
        objects = (table.first >= true_shift) & (table.second >= found_shift)
        return cls(
            table.first_sizes[true_shift:],
            table.second_sizes[found_shift:],
            table.first[objects] - true_shift,
            table.second[objects] - found_shift,
            table.shared[objects],
        )

    @property
    def iou(self) -> np.ndarray:
        """Intersection over union of each pair, (pairs,) of float64."""
        union = self.true_sizes[self.true] + self.found_sizes[self.found] - self.shared
        return np.asarray(self.shared / union)

    def matches(self, iou: float = 0.5) -> Matches:
        """Pair the objects whose overlap is more than ``iou`` of their union.

        Raises
        ------
        OptionError
            If ``iou`` is below 0.5, where an object could be in two pairs, or not below 1.
        """
        if not 0.5 <= iou < 1:
            raise OptionError(f"iou is {iou}; give 0.5 to below 1, so that pairs are one to one")
        union = self.true_sizes[self.true] + self.found_sizes[self.found] - self.shared
        pairs = self.shared > iou * union
        matched = int(pairs.sum())
        return Matches(
            matched,
            len(self.true_sizes) - matched,
            len(self.found_sizes) - matched,
            float((self.shared[pairs] / union[pairs]).sum()),
        )

    def coverage(self) -> Coverage:
        """How well each object of the truth is covered."""
        most = 2 * self.shared > self.true_sizes[self.true]
        return Coverage(len(self.true_sizes), float(self.iou[most].sum()))


def match_objects(truth: np.ndarray, found: np.ndarray, *, iou: float = 0.5) -> Matches:
    """Pair the objects whose overlap is more than ``iou`` of their union.

    Parameters
    ----------
    truth, found : ndarray of int
        Of equal shape; 0 is background, every other value is one object.
    iou : float
        At least 0.5, because below it an object could be in two pairs.

    Raises
    ------
    OptionError
        If the shapes differ, the values are no labels, or ``iou`` is out of range.
    """
    return ObjectOverlaps.of(truth, found).matches(iou)


def average_precision(truth: np.ndarray, found: np.ndarray, *, iou: float = 0.5) -> float:
    """TP / (TP + FP + FN) of the objects that overlap by more than ``iou`` of their union.

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
    return match_objects(truth, found, iou=iou).average_precision


def average_precisions(
    truth: np.ndarray, found: np.ndarray, *, ious: Sequence[float] = IOU_STEPS
) -> dict[float, float]:
    """Average precision at several thresholds, from one count of the overlaps.

    Parameters and errors are those of :func:`match_objects`; the mean over the default
    thresholds is the score of the Data Science Bowl 2018.

    Examples
    --------
    >>> average_precisions(np.array([1, 1, 1, 1]), np.array([3, 3, 3, 0]), ious=(0.7, 0.75))
    {0.7: 1.0, 0.75: 0.0}
    """
    overlaps = ObjectOverlaps.of(truth, found)
    return {iou: overlaps.matches(iou).average_precision for iou in ious}


def panoptic_quality(truth: np.ndarray, found: np.ndarray) -> float:
    """Panoptic quality of two label arrays; parameters and errors of :func:`match_objects`.

    Examples
    --------
    >>> panoptic_quality(np.array([1, 1, 1, 0, 2]), np.array([3, 3, 0, 0, 0]))
    0.4444444444444444
    """
    return match_objects(truth, found).panoptic_quality


def seg_score(truth: np.ndarray, found: np.ndarray) -> float:
    """SEG of the Cell Tracking Challenge; parameters and errors of :func:`match_objects`.

    Examples
    --------
    >>> seg_score(np.array([1, 1, 1, 0, 2]), np.array([3, 3, 0, 0, 0]))
    0.3333333333333333
    """
    return ObjectOverlaps.of(truth, found).coverage().seg
