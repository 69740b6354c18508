"""The census of a training set: the voxels of each class, and the objects of each image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bigunet.errors import TrainingError
from bigunet.geometry import Box
from bigunet.training.data.annotated_part import AnnotatedPart
from bigunet.training.data.label_checks import OnSample, ignore_sample
from bigunet.training.data.lone_values import refuse_lone_object
from bigunet.training.data.samples import Sample
from bigunet.training.data.targets import BORDER, TargetRule, classes_of

_MOST_NAMES = 5


@dataclass(frozen=True, slots=True)
class Census:
    """Counts of classes and objects in a training set.

    Parameters
    ----------
    counts : tuple of int
        Number of voxels of each class.
    objects : tuple of int
        Number of objects of each sample. An object that the network sees in several planes counts
        once in each plane.
    annotated : tuple of Box
        For each sample, a box that contains all annotated voxels.
    shares : tuple of float
        For each sample, the share of its voxels that somebody annotated.
    """

    counts: tuple[int, ...]
    objects: tuple[int, ...]
    annotated: tuple[Box, ...] = ()
    shares: tuple[float, ...] = ()

    @property
    def class_shares(self) -> tuple[float, ...]:
        """Share of each class among the annotated voxels."""
        return tuple(count / sum(self.counts) for count in self.counts)


def take_census(
    samples: Sequence[Sample],
    rule: TargetRule,
    *,
    warped_ndim: int,
    on_sample: OnSample = ignore_sample,
) -> Census:
    """Count classes and objects.

    Parameters
    ----------
    samples : sequence of Sample
    rule : TargetRule
    warped_ndim : int
        Number of axes that the network sees: the class of a voxel depends on neighbours along
        these axes only.
    on_sample : callable

    Raises
    ------
    TrainingError
        If a class never occurs, if nobody annotated a voxel of a sample, or if the number of an
        object probably means "not annotated".
    """
    counts = np.zeros(rule.num_classes, np.int64)
    tallies = []
    numbers: set[int] = set()
    for sample in samples:
        tally = _SampleCounts.of(sample, rule, warped_ndim)
        tallies.append(tally)
        counts += tally.counts
        numbers |= tally.numbers
        on_sample()
    refuse_lone_object(numbers)
    missing = [k for k, count in enumerate(counts) if count == 0]
    if missing:
        are_masks = max(len(tally.numbers) for tally in tallies) <= 1
        raise TrainingError(_missing_message(missing, rule, are_masks=are_masks))
    return Census(
        tuple(int(n) for n in counts),
        tuple(len(tally.objects) for tally in tallies),
        tuple(tally.annotated for tally in tallies),
        tuple(tally.share for tally in tallies),
    )


def weigh(samples: Sequence[Sample], census: Census, by: str) -> list[Sample]:
    """The samples with their annotated boxes, and with weights by voxels, by objects, or equal."""
    weights: dict[str, Any] = {
        "voxels": [float(np.prod(s.image.shape)) * k for s, k in zip(samples, census.shares)],
        "objects": [float(max(1, n)) for n in census.objects],
        "images": [1.0] * len(samples),
    }
    return [
        replace(s, weight=w, annotated=box)
        for s, w, box in zip(samples, weights[by], census.annotated)
    ]


@dataclass(frozen=True, slots=True)
class _SampleCounts:
    """The counts of one sample; an object is a plane's index, followed by the object's number."""

    counts: np.ndarray
    objects: set[tuple[int, ...]]
    annotated: Box
    share: float

    @property
    def numbers(self) -> set[int]:
        """Numbers of the objects."""
        return {one[-1] for one in self.objects}

    @classmethod
    def of(cls, sample: Sample, rule: TargetRule, warped_ndim: int) -> _SampleCounts:
        counts = np.zeros(rule.num_classes, np.int64)
        objects: set[tuple[int, ...]] = set()
        part = AnnotatedPart(sample)
        for box in sample.label_boxes():
            labels = sample.labels.read(box)[0]
            known = part.add(labels, box)
            for index in np.ndindex(*labels.shape[: labels.ndim - warped_ndim]):
                plane = labels[index]
                classes = classes_of(plane, rule)[known[index]]
                counts += np.bincount(classes, minlength=rule.num_classes)
                if rule.kind != "classes":
                    where = tuple(int(a + k) for a, k in zip(box.start, index))
                    values = np.unique(plane[known[index]])
                    objects |= {(*where, int(value)) for value in values if value != 0}
        return cls(counts, objects, part.box(), part.share)


def _missing_message(missing: Sequence[int], rule: TargetRule, *, are_masks: bool) -> str:
    """The message for classes that never occur, with the cure."""
    if rule.kind == "cells" and list(missing) == [BORDER]:
        if are_masks:
            return (
                "no image has two labels besides 0, so no voxel is of class border: give "
                "--connected if labels are masks, --target classes if values mean classes, or "
                "--border-width 0 if no image has two objects"
            )
        return (
            "no two objects of the training labels touch, so that no voxel is of class border: "
            "give --border-width 0 to learn no border"
        )
    names = [rule.class_names[k] for k in missing[:_MOST_NAMES]]
    if len(missing) > _MOST_NAMES:
        names.append("...")
    cure = "the labels and --target"
    if rule.kind == "classes":
        cure = "the labels and --label-values, or give --target cells if values number objects"
    return (
        f"no voxel of the training labels is of class {', '.join(names)}; a network cannot learn "
        f"what never occurs: check {cure}"
    )
