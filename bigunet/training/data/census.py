"""The census of a training set: which classes and objects its labels hold, and how many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bigunet.errors import TrainingError
from bigunet.geometry import Box
from bigunet.io.sources.annotations import NOT_ANNOTATED
from bigunet.training.data.annotated_part import AnnotatedPart
from bigunet.training.data.lone_values import refuse_lone_class, refuse_lone_object
from bigunet.training.data.samples import Sample
from bigunet.training.data.targets import BORDER, TargetRule, classes_of

_MOST_VALUES = 32
"""That are taken for classes without being listed; more are likelier the numbers of objects."""
_NUM_NAMED = 5
OnSample = Callable[[], None]
"""Called once a sample has been looked at."""


def _say_nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Census:
    """What the labels of a training set hold.

    Parameters
    ----------
    counts : tuple of int
        Voxels of each class.
    objects : tuple of int
        Of each sample; one that the network sees in several planes is counted in each.
    annotated : tuple of Box
        Of each sample: outside of it nobody annotated a voxel.
    shares : tuple of float
        Of each sample: of the voxels, those that somebody annotated.
    """

    counts: tuple[int, ...]
    objects: tuple[int, ...]
    annotated: tuple[Box, ...] = ()
    shares: tuple[float, ...] = ()

    @property
    def class_shares(self) -> tuple[float, ...]:
        """Of the annotated voxels, by class."""
        return tuple(count / sum(self.counts) for count in self.counts)


def label_values(
    samples: Sequence[Sample], *, on_sample: OnSample = _say_nothing
) -> tuple[int, ...]:
    """All values of the labels, sorted, as far as they were looked at.

    Parameters
    ----------
    samples : sequence of Sample
    on_sample : callable

    Raises
    ------
    TrainingError
        If there are more than 32: those are rather objects than classes. If one is far above all
        others: most such values mean that nobody annotated a voxel.
    """
    found: Counter[int] = Counter()
    for sample in samples:
        for box in sample.label_boxes():
            found.update(_counted(sample.labels.read(box)))
        on_sample()
        if len(found) > _MOST_VALUES:
            raise TrainingError(
                f"{sample.labels.url}: over {_MOST_VALUES} values are rather numbered objects "
                "than classes; give --target cells, --target boundaries where objects fill the "
                "image, or list the classes with --label-values"
            )
    if found:
        refuse_lone_class(found, share=found[max(found)] / found.total())
    return tuple(sorted(found))


def refuse_lone_mask(samples: Sequence[Sample]) -> None:
    """Refuse masks of several values of which one may mean that nobody annotated a voxel.

    Raises
    ------
    TrainingError
    """
    values: set[int] = set()
    for sample in samples:
        for box in sample.label_boxes():
            values |= _counted(sample.labels.read(box)).keys()
    refuse_lone_object(values - {0})


def _counted(labels: np.ndarray) -> dict[int, int]:
    """Voxels by value, but for those that nobody annotated."""
    values, counts = np.unique(labels, return_counts=True)
    found = {int(value): int(count) for value, count in zip(values, counts)}
    found.pop(NOT_ANNOTATED, None)
    return found


def take_census(
    samples: Sequence[Sample],
    rule: TargetRule,
    *,
    warped_ndim: int,
    on_sample: OnSample = _say_nothing,
) -> Census:
    """Count classes and objects.

    Parameters
    ----------
    samples : sequence of Sample
    rule : TargetRule
    warped_ndim : int
        Axes that the network sees: classes depend on neighbours along these only.
    on_sample : callable

    Raises
    ------
    TrainingError
        If a class never occurs, nobody annotated a voxel of a sample, or an object has a number
        that may mean so.
    """
    counts = np.zeros(rule.num_classes, np.int64)
    tallies = []
    numbers: set[int] = set()
    for sample in samples:
        tally = _Tally.of(sample, rule, warped_ndim)
        tallies.append(tally)
        counts += tally.counts
        numbers |= tally.numbers
        on_sample()
    refuse_lone_object(numbers)
    missing = [k for k, count in enumerate(counts) if count == 0]
    if missing:
        are_masks = max(len(tally.numbers) for tally in tallies) <= 1
        raise TrainingError(_missing(missing, rule, are_masks=are_masks))
    return Census(
        tuple(int(n) for n in counts),
        tuple(len(tally.objects) for tally in tallies),
        tuple(tally.annotated for tally in tallies),
        tuple(tally.share for tally in tallies),
    )


@dataclass(frozen=True, slots=True)
class _Tally:
    """What the labels of one sample hold."""

    counts: np.ndarray
    objects: set[tuple[int, ...]]
    annotated: Box
    share: float

    @property
    def numbers(self) -> set[int]:
        """Of the objects."""
        return {where[-1] for where in self.objects}

    @classmethod
    def of(cls, sample: Sample, rule: TargetRule, warped_ndim: int) -> _Tally:
        counts = np.zeros(rule.num_classes, np.int64)
        objects: set[tuple[int, ...]] = set()
        part = AnnotatedPart(sample)
        for box in sample.label_boxes():
            labels = sample.labels.read(box)[0]
            known = part.add(labels, box)
            for index in np.ndindex(*labels.shape[: labels.ndim - warped_ndim]):
                plane = labels[index]
                found = classes_of(plane, rule)[known[index]]
                counts += np.bincount(found, minlength=rule.num_classes)
                if rule.kind != "classes":
                    where = tuple(int(a + k) for a, k in zip(box.start, index))
                    values = np.unique(plane[known[index]])
                    objects |= {(*where, int(value)) for value in values if value != 0}
        return cls(counts, objects, part.box(), part.share)


def _missing(missing: Sequence[int], rule: TargetRule, *, are_masks: bool) -> str:
    """What is wrong where classes never occur, and the cure."""
    if rule.kind == "cells" and list(missing) == [BORDER]:
        if are_masks:
            return (
                "no image's labels hold more than one value besides 0, so that no objects touch "
                "and no voxel is of class border: give --connected if labels are masks (connected "
                "voxels are an object each), --target classes if values mean classes, or "
                "--border-width 0 if no image has more than one object"
            )
        return (
            "no two objects of the training labels touch, so that no voxel is of class border: "
            "give --border-width 0 to learn no border"
        )
    names = [rule.class_names[k] for k in missing[:_NUM_NAMED]]
    if len(missing) > _NUM_NAMED:
        names.append("...")
    cure = "the labels and --target"
    if rule.kind == "classes":
        cure = "the labels and --label-values, or give --target cells if values number objects"
    return (
        f"no voxel of the training labels is of class {', '.join(names)}; a network cannot learn "
        f"what never occurs: check {cure}"
    )


def check_labels(
    samples: Sequence[Sample], rule: TargetRule, *, on_sample: OnSample = _say_nothing
) -> list[Sample]:
    """Look at the labels of validation samples, box by box.

    Of huge images not all boxes are looked at; objects have no value that is wrong.

    Returns
    -------
    list of Sample
        The same, with the boxes that are annotated.

    Raises
    ------
    TrainingError
        If they hold a value that is no class, or nobody annotated a voxel of a sample.
    """
    checked = []
    for sample in samples:
        part = AnnotatedPart(sample)
        for box in sample.label_boxes():
            labels = sample.labels.read(box)[0]
            part.add(labels, box)
            if rule.kind == "classes":
                try:
                    classes_of(labels, rule)
                except TrainingError as error:
                    raise TrainingError(f"{sample.labels.url}: {error}") from error
        checked.append(replace(sample, annotated=part.box()))
        on_sample()
    return checked


def weigh(samples: Sequence[Sample], census: Census, by: str) -> list[Sample]:
    """The samples with the boxes that are annotated, and weights by voxels, objects, or none."""
    weights: dict[str, Any] = {
        "voxels": [float(np.prod(s.image.shape)) * k for s, k in zip(samples, census.shares)],
        "objects": [float(max(1, n)) for n in census.objects],
        "images": [1.0] * len(samples),
    }
    return [
        replace(s, weight=w, annotated=box)
        for s, w, box in zip(samples, weights[by], census.annotated)
    ]
