"""Which part of a labelled image somebody annotated: a box, from the labels box by box."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from bigunet.errors import TrainingError
from bigunet.geometry import Box
from bigunet.io.sources.annotations import is_annotated
from bigunet.training.data.samples import Sample


class AnnotatedPart:
    """Collects the boxes of a sample's labels that were looked at.

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
        """Look at the labels of a box; where somebody annotated them, (*box.shape) of bool."""
        known = is_annotated(labels)
        self._total += known.size
        self._known += int(np.count_nonzero(known))
        if known.any():
            self._boxes.append(_around(known, box))
        return known

    @property
    def share(self) -> float:
        """Of the voxels that were looked at, those that somebody annotated."""
        return self._known / self._total

    def box(self) -> Box:
        """Outside of it nobody annotated a voxel; the whole image, if not all was looked at.

        Raises
        ------
        TrainingError
            If nobody annotated any voxel that was looked at.
        """
        if not self._boxes:
            raise TrainingError(
                f"nobody annotated a voxel of {self._sample.labels.url}, or of the part of it that "
                "is used: all hold a value of --ignore; leave the image out, or give other images "
                "with --validate"
            )
        shape = self._sample.labels.shape
        is_seen = self._total == math.prod(shape)
        return _hull(self._boxes) if is_seen else Box.of_shape(shape)


def _around(known: np.ndarray, box: Box) -> Box:
    """The box around what is known of a box."""
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
