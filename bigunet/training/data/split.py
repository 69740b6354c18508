"""The split: some samples, or a part of the only sample, are kept apart for validation."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bigunet.errors import TrainingError
from bigunet.geometry import Box
from bigunet.training.data.samples import Sample
from bigunet.urls import shown_url


def split_samples(
    samples: Sequence[Sample], share: float, *, seed: int
) -> tuple[list[Sample], list[Sample]]:
    """Split samples into those to learn from and those kept apart for validation.

    Whole images are kept apart. The hash of an image's name decides, so that the order of the
    images does not matter. A single image is cut in two: the end of its longest axis is kept
    apart, or the last planes if the image is a stack of enough planes.

    Parameters
    ----------
    samples : sequence of Sample
    share : float
        Share of the images to keep apart, 0 to below 1. Above 0, at least one image is kept apart.
    seed : int
        Another seed gives another split.
    """
    if not 0 <= share < 1:
        raise TrainingError(f"validation share {share}; give 0 to below 1")
    if share == 0:
        return list(samples), []
    if len(samples) == 1:
        return _cut_apart(samples[0], share)
    count = min(len(samples) - 1, max(1, round(share * len(samples))))
    order = sorted(samples, key=lambda sample: _hash(sample, seed))
    apart = {id(sample) for sample in order[:count]}
    return [s for s in samples if id(s) not in apart], [s for s in samples if id(s) in apart]


def _cut_apart(sample: Sample, share: float) -> tuple[list[Sample], list[Sample]]:
    shape = sample.image.shape
    axis = 0 if len(shape) > 2 and shape[0] >= 2 / share else int(np.argmax(shape))
    if shape[axis] < 2:
        raise TrainingError(f"{sample.image.url} of shape {shape} cannot be split for validation")
    cut = min(shape[axis] - 1, max(1, round(shape[axis] * (1 - share))))
    ends = [list(shape), [0] * len(shape)]
    ends[0][axis] = ends[1][axis] = cut
    return (
        [sample.part(Box((0,) * len(shape), tuple(ends[0])))],
        [sample.part(Box(tuple(ends[1]), shape))],
    )


def _hash(sample: Sample, seed: int) -> str:
    name = Path(shown_url(sample.image.url)).name
    return hashlib.sha256(f"{seed} {name}".encode()).hexdigest()
