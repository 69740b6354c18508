"""The part of a labelled image that somebody annotated: one box, from the labels box by box."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from bigunet.errors import TrainingError
from bigunet.geometry import Box
from bigunet.io.sources.annotations import is_annotated
from bigunet.training.data.samples import Sample


class AnnotatedPart:
    """Collects which voxels of a sample's labels are annotated, from one box after another.

    Parameters
    ----------
    sample : Sample
    """

    def __init__(self, sample: Sample) -> None:
        self._sample = sample
        self._boxes: list[Box] = []
        self._known = 0
        self._total = 0

    def add(self, labels: np.ndarray, box: Box) -> np.ndarray:
        """Add the labels of a box; return which of its voxels are annotated, bool (*box.shape)."""
        known = is_annotated(labels)
        self._total += known.size
        self._known += int(np.count_nonzero(known))
        if known.any():
            self._boxes.append(_around(known, box))
        return known

    @property
    def share(self) -> float:
        """Share of the added voxels that somebody annotated, 0 to 1."""
        return self._known / self._total

    def box(self) -> Box:
        """The smallest box around all annotated voxels; the whole image if some were not added.

        Raises
        ------
        TrainingError
            If no added voxel is annotated.
        """
        if not self._boxes:
            raise TrainingError(
                f"nobody annotated a voxel of {self._sample.labels.url}, or of the part of it that "
                "is used: all hold a value of --ignore; leave the image out, or give other images "
                "with --validate"
            )
        shape = self._sample.labels.shape
        is_complete = self._total == math.prod(shape)
        return _hull(self._boxes) if is_complete else Box.of_shape(shape)


def _around(known: np.ndarray, box: Box) -> Box:
    """The smallest box around the annotated voxels of ``box``."""
    start, stop = [], []
    for axis, first in enumerate(box.start):
        at = np.flatnonzero(known.any(axis=tuple(k for k in range(known.ndim) if k != axis)))
        start.append(first + int(at[0]))
        stop.append(first + int(at[-1]) + 1)
    return Box(tuple(start), tuple(stop))


def _hull(boxes: Sequence[Box]) -> Box:
    return Box(
        tuple(map(min, zip(*(box.start for box in boxes)))),
        tuple(map(max, zip(*(box.stop for box in boxes)))),
    )
