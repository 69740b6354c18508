"""The census of a training set: which classes and objects its labels hold, and how many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bigunet.errors import TrainingError
from bigunet.training.samples import Sample
from bigunet.training.targets import BORDER, TargetRule, classes_of

_MOST_VALUES = 32
"""That are taken for classes without being listed; more are likelier the numbers of objects."""
_NUM_NAMED = 5


@dataclass(frozen=True, slots=True)
class Census:
    """What the labels of a training set hold.

    Parameters
    ----------
    counts : tuple of int
        Voxels of each class.
    objects : tuple of int
        Of each sample; one that the network sees in several planes is counted in each.
    """

    counts: tuple[int, ...]
    objects: tuple[int, ...]


def label_values(samples: Sequence[Sample]) -> tuple[int, ...]:
    """All values of the labels, sorted, as far as they were looked at.

    Raises
    ------
    TrainingError
        If there are more than 32: those are rather objects than classes.
    """
    found: set[int] = set()
    for sample in samples:
        for box in sample.label_boxes():
            found |= {int(v) for v in np.unique(sample.labels.read(box))}
        if len(found) > _MOST_VALUES:
            raise TrainingError(
                f"{sample.labels.url}: over {_MOST_VALUES} values are rather numbered objects "
                "than classes; give --target cells, --target boundaries where objects fill the "
                "image, or list the classes with --label-values"
            )
    return tuple(sorted(found))


def take_census(samples: Sequence[Sample], rule: TargetRule, *, warped_ndim: int) -> Census:
    """Count classes and objects.

    Parameters
    ----------
    samples : sequence of Sample
    rule : TargetRule
    warped_ndim : int
        Axes that the network sees: classes depend on neighbours along these only.

    Raises
    ------
    TrainingError
        If a class never occurs.
    """
    counts = np.zeros(rule.num_classes, np.int64)
    objects = []
    most_numbers = 0
    for sample in samples:
        seen: set[tuple[int, ...]] = set()
        for box in sample.label_boxes():
            labels = sample.labels.read(box)[0]
            leading = labels.shape[: labels.ndim - warped_ndim]
            for index in np.ndindex(*leading):
                plane = labels[index]
                counts += np.bincount(classes_of(plane, rule).ravel(), minlength=rule.num_classes)
                if rule.kind != "classes":
                    where = tuple(int(a + k) for a, k in zip(box.start, index))
                    seen |= {(*where, int(value)) for value in np.unique(plane) if value != 0}
        objects.append(len(seen))
        most_numbers = max(most_numbers, len({where[-1] for where in seen}))
    missing = [k for k, count in enumerate(counts) if count == 0]
    if missing:
        raise TrainingError(_missing(missing, rule, are_masks=most_numbers <= 1))
    return Census(tuple(int(n) for n in counts), tuple(objects))


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


def check_labels(samples: Sequence[Sample], rule: TargetRule) -> None:
    """Look for values that are no class in the labels of validation samples, box by box.

    Of huge images not all boxes are looked at; objects have no value that is wrong.

    Raises
    ------
    TrainingError
        If they hold a value that is no class.
    """
    for sample in samples if rule.kind == "classes" else ():
        for box in sample.label_boxes():
            try:
                classes_of(sample.labels.read(box)[0], rule)
            except TrainingError as error:
                raise TrainingError(f"{sample.labels.url}: {error}") from error


def weigh(samples: Sequence[Sample], census: Census, by: str) -> list[Sample]:
    """The samples with weights by their voxels, objects, or none."""
    weights: dict[str, Any] = {
        "voxels": [float(np.prod(s.image.shape)) for s in samples],
        "objects": [float(max(1, n)) for n in census.objects],
        "images": [1.0] * len(samples),
    }
    return [replace(s, weight=w) for s, w in zip(samples, weights[by])]
