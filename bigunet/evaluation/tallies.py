"""What is counted of each image, how images add up, and the scores that come of it."""

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
    """Voxels by class."""

    confusion: Confusion = field(default_factory=Confusion)

    @classmethod
    def of(cls, pair: Compared, options: EvaluateOptions) -> ClassTally:
        """Count one image."""
        found = pair.found.astype(np.uint8) if pair.found.dtype.kind == "b" else pair.found
        found, truth = found[pair.annotated], pair.truth[pair.annotated]
        if options.label_values:
            truth = classes_of(truth, TargetRule("classes", options.label_values))
        confusion = Confusion.of(found, truth)
        if len(confusion.classes) > _MOST_CLASSES:
            raise ImageError(
                f"{len(confusion.classes)} different values are no classes; for numbered "
                "objects, give --kind instances"
            )
        return cls(confusion)

    def __add__(self, other: ClassTally) -> ClassTally:
        return ClassTally(self.confusion + other.confusion)

    def scores(self, options: EvaluateOptions) -> Scores:
        """Per class, and the mean over the classes that occur."""
        told: Scores = {}
        counts = {str(k): self.confusion.of_class(k) for k in self.confusion.classes}
        if "dice" in options.chosen:
            told["dice"] = {k: one.dice for k, one in counts.items()}
            told["mean_dice"] = _mean([one.dice for one in counts.values()])
        if "iou" in options.chosen:
            told["iou"] = {k: one.iou for k, one in counts.items()}
            told["mean_iou"] = _mean([one.iou for one in counts.values()])
        if "pixel-error" in options.chosen:
            told["pixel_error"] = self.confusion.error
        return told


@dataclass(frozen=True, slots=True)
class ObjectTally:
    """Objects found, missed and invented.

    Parameters
    ----------
    matches : mapping of float to Matches
        By the overlap that a pair needs.
    coverage : Coverage
    foreground : PixelCounts
    class_seen : bool
        Whether any voxel is of the class that is objects; True where no class is asked for.
    """

    matches: Mapping[float, Matches] = field(
        default_factory=lambda: dict.fromkeys(IOU_STEPS, Matches())
    )
    coverage: Coverage = field(default_factory=Coverage)
    foreground: PixelCounts = field(default_factory=PixelCounts)
    class_seen: bool = False

    @classmethod
    def of(cls, pair: Compared, options: EvaluateOptions) -> ObjectTally:
        """Count one image."""
        found, class_seen = pair.found, True
        if found.dtype.kind == "b":
            found = connected(found)
        elif options.objects_of is not None:
            class_seen = bool((found == options.objects_of).any())
            found = instances_of(
                found,
                int(options.objects_of),
                smallest=options.min_size,
                border=None if options.border is None else int(options.border),
                border_width=options.border_width or 1,
            )
        found = _on_known(_without_small(found, options.min_size), pair.annotated)
        truth = connected(pair.truth) if options.connected else pair.truth
        overlaps = ObjectOverlaps.of(truth, found)
        matches = {iou: overlaps.matches(iou) for iou in IOU_STEPS}
        known = pair.annotated
        foreground = PixelCounts.of(found[known] > 0, truth[known] > 0)
        return cls(matches, overlaps.coverage(), foreground, class_seen)

    def __add__(self, other: ObjectTally) -> ObjectTally:
        return ObjectTally(
            {iou: one + other.matches[iou] for iou, one in self.matches.items()},
            self.coverage + other.coverage,
            self.foreground + other.foreground,
            self.class_seen or other.class_seen,
        )

    def scores(self, options: EvaluateOptions) -> Scores:
        """Of the objects of all images together."""
        half = self.matches[IOU_STEPS[0]]
        told: Scores = {
            "matched": half.matched,
            "missed": half.missed,
            "spurious": half.spurious,
        }
        if "average-precision" in options.chosen:
            steps = {f"{iou:.2f}": one.average_precision for iou, one in self.matches.items()}
            told |= {"average_precision": steps, "mean_average_precision": _mean([*steps.values()])}
        if "panoptic-quality" in options.chosen:
            told["panoptic_quality"] = half.panoptic_quality
            told["recognition_quality"] = half.recognition_quality
            told["segmentation_quality"] = half.segmentation_quality
        if "seg" in options.chosen:
            told["seg"] = self.coverage.seg
        if "dice" in options.chosen:
            told["foreground_dice"] = self.foreground.dice
        return told


@dataclass(frozen=True, slots=True)
class BoundaryTally:
    """Scores of planes (or volumes), which are not counts and so are kept one by one."""

    planes: tuple[Mapping[str, float], ...] = ()

    @classmethod
    def of(cls, pair: Compared, options: EvaluateOptions) -> BoundaryTally:
        """Score one image."""
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
    if pair.found.dtype.kind == "b":
        found = pair.found
    else:
        found = pair.found > 0 if options.interior is None else pair.found == options.interior
    # What was found elsewhere must neither join segments nor count.
    found = found & known
    told: dict[str, float] = {}
    if "pixel-error" in options.chosen:
        told["pixel_error"] = pixel_error(found[known], truth[known])
    if "rand-error" in options.chosen:
        told["rand_error"] = rand_error(segments_of(found)[known], segments_of(truth)[known])
    if "warping-error" in options.chosen:
        warped = warping(found, truth, certainty=pair.certainty)
        warped = replace(warped, pixels=int(np.count_nonzero(known)))
        told["warping_error"] = warped.error
        told["warping_error_splits_merges"] = warped.split_merge_error
    if {"v-rand", "v-info"} & set(options.chosen):
        agreement = foreground_scores(found, truth)
        told |= {"v_rand": agreement.v_rand} if "v-rand" in options.chosen else {}
        told |= {"v_info": agreement.v_info} if "v-info" in options.chosen else {}
    return told


def _planes(pair: Compared) -> Iterator[Compared]:
    shape = pair.truth.shape[-2:]
    found, truth = pair.found.reshape(-1, *shape), pair.truth.reshape(-1, *shape)
    certainty = None if pair.certainty is None else pair.certainty.reshape(-1, *shape)
    known = pair.annotated.reshape(-1, *shape)
    for z in range(len(truth)):
        if known[z].any():
            sure = None if certainty is None else certainty[z]
            yield Compared(found[z], truth[z], known[z], sure)


def _on_known(objects: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The objects where the truth is known, but for those that lie elsewhere by more than half."""
    if known.all():
        return objects
    values, ranks, sizes = np.unique(objects, return_inverse=True, return_counts=True)
    ranks = ranks.reshape(objects.shape)
    outside = np.bincount(ranks[~known], minlength=len(values))
    kept = np.where(2 * outside > sizes, 0, values).astype(objects.dtype)
    return np.asarray(np.where(known, kept[ranks], 0))


def _without_small(objects: np.ndarray, min_size: int) -> np.ndarray:
    if min_size <= 1:
        return objects
    values, ranks, sizes = np.unique(objects, return_inverse=True, return_counts=True)
    kept = np.where(sizes < min_size, 0, values).astype(objects.dtype)
    return np.asarray(kept[ranks.reshape(objects.shape)])


def _mean(values: list[float]) -> float:
    """Over those that are numbers; NaN if none is."""
    numbers = [value for value in values if not math.isnan(value)]
    return sum(numbers) / len(numbers) if numbers else math.nan
