"""The census of a training set: which classes and objects its labels hold, and how many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bigunet.errors import TrainingError
from bigunet.training.samples import Sample
from bigunet.training.targets import TargetRule, classes_of


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
        If there are more than 256: those are objects, not classes.
    """
    found: set[int] = set()
    for sample in samples:
        for box in sample.label_boxes():
            found |= {int(v) for v in np.unique(sample.labels.read(box))}
        if len(found) > 256:
            raise TrainingError(
                f"{sample.labels.url} has over 256 values: these are objects, not classes; "
                "give --target cells or --target boundaries"
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
    missing = [name for name, count in zip(rule.class_names, counts) if count == 0]
    if missing:
        raise TrainingError(
            f"no voxel of the training labels is of class {', '.join(missing)}; a network cannot "
            "learn what never occurs: check the labels, --target and --label-values"
        )
    return Census(tuple(int(n) for n in counts), tuple(objects))


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
