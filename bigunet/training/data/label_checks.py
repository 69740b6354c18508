"""Checks of labels before training, box by box: their values, lone masks, values of no class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from bigunet.errors import TrainingError
from bigunet.io.sources.annotations import NOT_ANNOTATED
from bigunet.training.data.annotated_part import AnnotatedPart
from bigunet.training.data.lone_values import refuse_lone_class, refuse_lone_object
from bigunet.training.data.samples import Sample
from bigunet.training.data.targets import TargetRule, classes_of

_MOST_VALUES = 32
"""Values that count as classes if the user lists none; more values rather number objects."""
OnSample = Callable[[], None]
"""A function that is called after each sample."""


def ignore_sample() -> None:
    """Do nothing; for callers that do not follow the samples."""


def label_values(
    samples: Sequence[Sample], *, on_sample: OnSample = ignore_sample
) -> tuple[int, ...]:
    """All values of the labels, sorted. Of huge images, not all boxes are read.

    Parameters
    ----------
    samples : sequence of Sample
    on_sample : callable

    Raises
    ------
    TrainingError
        If there are more than 32 values, because these rather number objects. If one value is far
        above all others, because it probably means "not annotated".
    """
    voxels: Counter[int] = Counter()
    for sample in samples:
        for box in sample.label_boxes():
            voxels.update(_voxels_by_value(sample.labels.read(box)))
        on_sample()
        if len(voxels) > _MOST_VALUES:
            raise TrainingError(
                f"{sample.labels.url}: over {_MOST_VALUES} values are rather numbered objects "
                "than classes; give --target cells, --target boundaries where objects fill the "
                "image, or list the classes with --label-values"
            )
    if voxels:
        refuse_lone_class(voxels, share=voxels[max(voxels)] / voxels.total())
    return tuple(sorted(voxels))


def refuse_lone_mask(samples: Sequence[Sample]) -> None:
    """Refuse masks in which one of several values probably means "not annotated".

    Raises
    ------
    TrainingError
        If there is such a value.
    """
    values: set[int] = set()
    for sample in samples:
        for box in sample.label_boxes():
            values |= _voxels_by_value(sample.labels.read(box)).keys()
    refuse_lone_object(values - {0})


def _voxels_by_value(labels: np.ndarray) -> dict[int, int]:
    """Number of voxels of each value; voxels that nobody annotated are left out."""
    values, counts = np.unique(labels, return_counts=True)
    voxels = {int(value): int(count) for value, count in zip(values, counts)}
    voxels.pop(NOT_ANNOTATED, None)
    return voxels


def check_labels(
    samples: Sequence[Sample], rule: TargetRule, *, on_sample: OnSample = ignore_sample
) -> list[Sample]:
    """Check the labels of validation samples, box by box.

    Of huge images, not all boxes are read. Numbers of objects cannot be wrong; values of classes
    can.

    Returns
    -------
    list of Sample
        The same samples, each with the box that contains its annotated voxels.

    Raises
    ------
    TrainingError
        If a value is no class, or if nobody annotated a voxel of a sample.
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
