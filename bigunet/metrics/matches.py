"""Counts of objects, and the scores that follow from them; counts of several images can be added.

:mod:`bigunet.metrics.objects` compares the arrays; this module holds the numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Matches:
    """Objects of the truth and of a prediction, paired one to one.

    Parameters
    ----------
    matched : int
        Number of pairs.
    missed : int
        Number of objects of the truth that are in no pair.
    spurious : int
        Number of objects of the prediction that are in no pair.
    iou_sum : float
        Sum over the pairs of their intersection over union.
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
        """TP / (TP + FP + FN); 1 where neither truth nor prediction has an object."""
        total = self.matched + self.missed + self.spurious
        return self.matched / total if total else 1.0

    @property
    def recognition_quality(self) -> float:
        """TP / (TP + FP/2 + FN/2), the F-score; 1 where neither side has an object."""
        total = self.matched + (self.missed + self.spurious) / 2
        return self.matched / total if total else 1.0

    @property
    def segmentation_quality(self) -> float:
        """Mean intersection over union of the pairs; NaN without pairs.

        Panoptic quality is defined without pairs, too, although it is the product of segmentation
        quality and recognition quality: see :attr:`panoptic_quality`.
        """
        return self.iou_sum / self.matched if self.matched else math.nan

    @property
    def panoptic_quality(self) -> float:
        """Sum of the intersections over union of the pairs, divided by TP + FP/2 + FN/2.

        It is segmentation quality × recognition quality. Without pairs it is 0, and 1 where
        neither truth nor prediction has an object.

        References
        ----------
        Kirillov et al.: Panoptic segmentation, CVPR 2019, doi:10.1109/CVPR.2019.00963.
        """
        total = self.matched + (self.missed + self.spurious) / 2
        return self.iou_sum / total if total else 1.0


@dataclass(frozen=True, slots=True)
class Coverage:
    """How well predicted objects cover the objects of the truth.

    Parameters
    ----------
    objects : int
        Number of objects of the truth.
    iou_sum : float
        Sum over the objects of the truth. Each adds the intersection over union with the
        predicted object that covers more than half of it, or 0 where there is no such object.
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
