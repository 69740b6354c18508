"""Tallies: the counts of one image, their sum over images, and the scores that follow from them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np

from bigunet.errors import ImageError
from bigunet.evaluation.compared import Compared
from bigunet.evaluation.evaluate_options import EvaluateOptions
from bigunet.io.sources.annotations import NOT_ANNOTATED
from bigunet.labels import connected, instances_of
from bigunet.metrics.confusion import Confusion
from bigunet.metrics.matches import Coverage, Matches
from bigunet.metrics.objects import IOU_STEPS, ObjectOverlaps
from bigunet.metrics.partitions import foreground_scores, rand_error
from bigunet.metrics.pixels import PixelCounts, pixel_error
from bigunet.metrics.thinning import segments_of
from bigunet.metrics.warping import warping
from bigunet.training.data.targets import INTERIOR, TargetRule, classes_of

Scores: TypeAlias = dict[str, Any]
_MOST_CLASSES = 256


@dataclass(frozen=True, slots=True)
class ClassTally:
    """Counts of voxels by class."""

    confusion: Confusion = field(default_factory=Confusion)

    @classmethod
    def of(cls, pair: Compared, options: EvaluateOptions) -> ClassTally:
        """Count the voxels of one image."""
        classes = pair.prediction[pair.annotated]
        classes = classes.astype(np.uint8) if classes.dtype.kind == "b" else classes
        truth = pair.truth[pair.annotated]
        if options.label_values:
            truth = classes_of(truth, TargetRule("classes", options.label_values))
        confusion = Confusion.of(classes, truth)
        if len(confusion.classes) > _MOST_CLASSES:
            raise ImageError(
                f"{len(confusion.classes)} different values are no classes; for numbered "
                "objects, give --kind instances"
            )
        return cls(confusion)

    def __add__(self, other: ClassTally) -> ClassTally:
        return ClassTally(self.confusion + other.confusion)

    def scores(self, options: EvaluateOptions) -> Scores:
        """A score for each class that occurs, and the mean over these classes."""
        scores: Scores = {}
        counts = {str(k): self.confusion.of_class(k) for k in self.confusion.classes}
        if "dice" in options.chosen:
            scores["dice"] = {k: one.dice for k, one in counts.items()}
            scores["mean_dice"] = _mean([one.dice for one in counts.values()])
        if "iou" in options.chosen:
            scores["iou"] = {k: one.iou for k, one in counts.items()}
            scores["mean_iou"] = _mean([one.iou for one in counts.values()])
        if "pixel-error" in options.chosen:
            scores["pixel_error"] = self.confusion.error
        return scores


@dataclass(frozen=True, slots=True)
class ObjectTally:
    """Counts of matched, missed and spurious objects.

    Parameters
    ----------
    matches : mapping of float to Matches
        For each threshold of the intersection over union.
    coverage : Coverage
    foreground : PixelCounts
    class_seen : bool
        Whether the class of the objects occurs in the prediction; True if the options name no
        class.
    """

    matches: Mapping[float, Matches] = field(
        default_factory=lambda: dict.fromkeys(IOU_STEPS, Matches())
    )
    coverage: Coverage = field(default_factory=Coverage)
    foreground: PixelCounts = field(default_factory=PixelCounts)
    class_seen: bool = False

    @classmethod
    def of(cls, pair: Compared, options: EvaluateOptions) -> ObjectTally:
        """Count the objects of one image."""
        objects, class_seen = pair.prediction, True
        if objects.dtype.kind == "b":
            objects = connected(objects)
        elif options.object_class is not None:
            class_seen = bool((objects == options.object_class).any())
            objects = instances_of(
                objects,
                int(options.object_class),
                smallest=options.smallest,
                border=None if options.border_class is None else int(options.border_class),
                border_width=options.border_width or 1,
            )
        objects = _on_known(_without_small(objects, options.smallest), pair.annotated)
        truth = connected(pair.truth) if options.connected else pair.truth
        overlaps = ObjectOverlaps.of(truth, objects)
        matches = {iou: overlaps.matches(iou) for iou in IOU_STEPS}
        known = pair.annotated
        foreground = PixelCounts.of(objects[known] > 0, truth[known] > 0)
        return cls(matches, overlaps.coverage(), foreground, class_seen)

    def __add__(self, other: ObjectTally) -> ObjectTally:
        return ObjectTally(
            {iou: one + other.matches[iou] for iou, one in self.matches.items()},
            self.coverage + other.coverage,
            self.foreground + other.foreground,
            self.class_seen or other.class_seen,
        )

    def scores(self, options: EvaluateOptions) -> Scores:
        """Scores of the objects of all images together."""
        half = self.matches[IOU_STEPS[0]]
        scores: Scores = {
            "matched": half.matched,
            "missed": half.missed,
            "spurious": half.spurious,
        }
        if "average-precision" in options.chosen:
            steps = {f"{iou:.2f}": one.average_precision for iou, one in self.matches.items()}
            scores |= {
                "average_precision": steps,
                "mean_average_precision": _mean([*steps.values()]),
            }
        if "panoptic-quality" in options.chosen:
            scores["panoptic_quality"] = half.panoptic_quality
            scores["recognition_quality"] = half.recognition_quality
            scores["segmentation_quality"] = half.segmentation_quality
        if "seg" in options.chosen:
            scores["seg"] = self.coverage.seg
        if "dice" in options.chosen:
            scores["foreground_dice"] = self.foreground.dice
        return scores


@dataclass(frozen=True, slots=True)
class BoundaryTally:
    """Scores of each plane (or volume); they are kept one by one, because they cannot be added."""

    planes: tuple[Mapping[str, float], ...] = ()

    @classmethod
    def of(cls, pair: Compared, options: EvaluateOptions) -> BoundaryTally:
        """Score the planes (or the volume) of one image."""
        rule = TargetRule("boundaries", border_width=options.border_width)
        planes = [pair] if options.volumes else _planes(pair)
        return cls(tuple(_plane_scores(plane, rule, options) for plane in planes))

    def __add__(self, other: BoundaryTally) -> BoundaryTally:
        return BoundaryTally(self.planes + other.planes)

    def scores(self, options: EvaluateOptions) -> Scores:
        """Means over the planes."""
        names = dict.fromkeys(name for plane in self.planes for name in plane)
        means = {name: _mean([plane[name] for plane in self.planes]) for name in names}
        return {"volumes" if options.volumes else "planes": len(self.planes), **means}


Tally: TypeAlias = ClassTally | ObjectTally | BoundaryTally


def _plane_scores(pair: Compared, rule: TargetRule, options: EvaluateOptions) -> dict[str, float]:
    known = pair.annotated
    truth = (classes_of(np.where(known, pair.truth, NOT_ANNOTATED), rule) == INTERIOR) & known
    # Interior outside the annotated voxels must neither join segments nor count.
    interior = _interior(pair.prediction, options) & known
    scores: dict[str, float] = {}
    if "pixel-error" in options.chosen:
        scores["pixel_error"] = pixel_error(interior[known], truth[known])
    if "rand-error" in options.chosen:
        segments = segments_of(interior)[known], segments_of(truth)[known]
        scores["rand_error"] = rand_error(*segments)
    if "warping-error" in options.chosen:
        warped = warping(interior, truth, certainty=pair.certainty)
        warped = replace(warped, pixels=int(np.count_nonzero(known)))
        scores["warping_error"] = warped.error
        scores["warping_error_splits_merges"] = warped.split_merge_error
    if {"v-rand", "v-info"} & set(options.chosen):
        both = foreground_scores(interior, truth)
        scores |= {"v_rand": both.v_rand} if "v-rand" in options.chosen else {}
        scores |= {"v_info": both.v_info} if "v-info" in options.chosen else {}
    return scores


def _interior(prediction: np.ndarray, options: EvaluateOptions) -> np.ndarray:
    """Map of bool of the prediction's interior."""
    if prediction.dtype.kind == "b":
        return prediction
    inside = prediction > 0 if options.interior is None else prediction == options.interior
    return np.asarray(inside)


def _planes(pair: Compared) -> Iterator[Compared]:
    """The planes of a volume that have annotated voxels."""
    shape = pair.truth.shape[-2:]
    prediction, truth = pair.prediction.reshape(-1, *shape), pair.truth.reshape(-1, *shape)
    certainty = None if pair.certainty is None else pair.certainty.reshape(-1, *shape)
    known = pair.annotated.reshape(-1, *shape)
    for z in range(len(truth)):
        if known[z].any():
            sure = None if certainty is None else certainty[z]
            yield Compared(prediction[z], truth[z], known[z], sure)


def _on_known(objects: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Objects within the annotated voxels; those with more than half of their voxels outside go."""
    if known.all():
        return objects
    values, ranks, sizes = np.unique(objects, return_inverse=True, return_counts=True)
    ranks = ranks.reshape(objects.shape)
    outside = np.bincount(ranks[~known], minlength=len(values))
    kept = np.where(2 * outside > sizes, 0, values).astype(objects.dtype)
    return np.asarray(np.where(known, kept[ranks], 0))


def _without_small(objects: np.ndarray, min_size: int) -> np.ndarray:
    """Objects of at least ``min_size`` voxels."""
    if min_size <= 1:
        return objects
    values, ranks, sizes = np.unique(objects, return_inverse=True, return_counts=True)
    kept = np.where(sizes < min_size, 0, values).astype(objects.dtype)
    return np.asarray(kept[ranks.reshape(objects.shape)])


def _mean(values: list[float]) -> float:
    """Mean of the values that are not NaN; NaN if all are."""
    numbers = [value for value in values if not math.isnan(value)]
    return sum(numbers) / len(numbers) if numbers else math.nan
