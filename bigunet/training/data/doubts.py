"""Signs of a user's mistake in images and labels: errors where it is certain, else doubts.

A doubt is a warning of one line; training continues.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bigunet.errors import TrainingError
from bigunet.geometry import Box
from bigunet.io.sources.annotations import NOT_ANNOTATED
from bigunet.io.sources.source import Source
from bigunet.training.data.samples import Sample

_SEEN_VOXELS = 1024
"""Voxels along each of two axes, in the middle of an image, that are examined."""
_FEW_VALUES = 8
_MANY_VALUES = 32
# In labels, objects are about ten voxels long; in grey images, most steps change the value.
_STEPS_OF_GREY = 0.3
_STEPS_OF_LABELS = 0.1


@dataclass(frozen=True, slots=True)
class SourceSummary:
    """A few facts about the middle of an image or of labels.

    Parameters
    ----------
    url : str
    num_values : int
        Number of different values.
    changes : float
        Share of the steps along the last axis that change the value.
    digest : str
        Digest of the voxels.
    constant : bool
        Whether all examined voxels of each channel have one value.
    """

    url: str
    num_values: int
    changes: float
    digest: str
    constant: bool

    @classmethod
    def of(cls, source: Source, boxes: Sequence[Box]) -> SourceSummary:
        """Examine the middle of a source, and ``boxes`` too if the middle has one value only."""
        voxels = source.read(middle_of(source))
        first = voxels[0]
        steps = first[..., 1:] != first[..., :-1]
        is_one = _is_one_value(voxels) and _is_one_value_in(source, boxes, voxels)
        shape = repr((source.shape, voxels.dtype.str)).encode()
        return cls(
            str(source.url),
            len(np.setdiff1d(first, NOT_ANNOTATED)),
            float(np.count_nonzero(steps)) / max(1, steps.size),
            hashlib.sha256(shape + np.ascontiguousarray(voxels).tobytes()).hexdigest(),
            is_one,
        )

    @property
    def is_grey(self) -> bool:
        """Whether there are many values that change from voxel to voxel."""
        return self.num_values > _MANY_VALUES and self.changes > _STEPS_OF_GREY


def middle_of(source: Source) -> Box:
    """A box in the middle of an image, with the extent 1 along all but the last two axes."""
    sizes = [min(n, _SEEN_VOXELS) for n in source.shape]
    sizes[:-2] = [1] * len(sizes[:-2])
    start = tuple((n - size) // 2 for n, size in zip(source.shape, sizes))
    return Box(start, tuple(a + size for a, size in zip(start, sizes)))


def doubts_of(samples: Sequence[Sample], apart: Sequence[Sample]) -> Iterator[str]:
    """Doubts about the images and labels to learn from, and about those to validate on.

    Raises
    ------
    TrainingError
        If images and labels are certainly swapped, or if every image has one value only.
    """
    everything = [*samples, *apart]
    images = [SourceSummary.of(sample.image, list(sample.label_boxes())) for sample in everything]
    labels = [SourceSummary.of(sample.labels, list(sample.label_boxes())) for sample in everything]
    yield from _swapped(images, labels)
    yield from _constant(images, labels)
    yield from _same_images(images[: len(samples)], images[len(samples) :])
    yield from _same_labels(images, labels)


def _swapped(images: Sequence[SourceSummary], labels: Sequence[SourceSummary]) -> Iterator[str]:
    grey = [(image, label) for image, label in zip(images, labels) if label.is_grey]
    if not grey:
        return
    sure = [pair for pair in grey if pair[0].num_values <= _FEW_VALUES]
    likely = [pair for pair in grey if pair[0].changes < _STEPS_OF_LABELS]
    image, label = (sure or likely or grey)[0]
    fact = f"{label.url} holds {label.num_values} values that change from voxel to voxel"
    if len(sure) > len(images) / 2:
        raise TrainingError(
            f"{fact}, the image {image.url} {image.num_values} values: IMAGES and LABELS are "
            "swapped; give the grey images first"
        )
    if sure or likely:
        yield f"{fact}, {image.url} looks like labels: are IMAGES and LABELS swapped?"
    else:
        yield f"{fact}, as a grey image does: are these labels?"


def _constant(images: Sequence[SourceSummary], labels: Sequence[SourceSummary]) -> Iterator[str]:
    flat = [one for one in images if one.constant]
    if len(flat) == len(images):
        raise TrainingError(
            f"every image holds one value only, as {flat[0].url}: there is nothing to learn; give "
            "images with something in them, or another --level or --channel"
        )
    if flat:
        yield f"{_some(flat, images)} {_holds(flat)} one value only: nothing is to be seen there"
    flat = [one for one in labels if one.constant]
    if flat and len(flat) < len(labels):
        yield f"{_some(flat, labels)} {_holds(flat)} one label only: is nothing to be labelled?"


def _same_images(learned: Sequence[SourceSummary], apart: Sequence[SourceSummary]) -> Iterator[str]:
    known = {one.digest: one for one in learned if not one.constant}
    twice = [(known[one.digest], one) for one in apart if one.digest in known]
    # Another warning reports the same file on both sides.
    twice = [(first, second) for first, second in twice if first.url != second.url]
    if twice:
        first, second = twice[0]
        yield (
            f"{len(twice)} of {len(apart)} images to validate on hold the voxels of one that is "
            f"learned from, as {second.url} those of {first.url}: the score flatters"
        )


def _same_labels(images: Sequence[SourceSummary], labels: Sequence[SourceSummary]) -> Iterator[str]:
    known: dict[str, tuple[SourceSummary, SourceSummary]] = {}
    for image, label in zip(images, labels):
        if label.constant:
            continue
        other_image, other_label = known.setdefault(label.digest, (image, label))
        if image.digest != other_image.digest and other_label.url != label.url:
            yield (
                f"{other_label.url} and {label.url} hold the same labels, their images differ: "
                "does each belong to its image?"
            )
            return


def _some(some: Sequence[SourceSummary], of: Sequence[SourceSummary]) -> str:
    return f"{some[0].url}, one of {len(some)} of {len(of)}," if len(some) > 1 else some[0].url


def _holds(some: Sequence[SourceSummary]) -> str:
    return "that hold" if len(some) > 1 else "holds"


def _is_one_value(voxels: np.ndarray) -> bool:
    first = voxels.reshape(len(voxels), -1)[:, :1]
    return bool((voxels.reshape(len(voxels), -1) == first).all())


def _is_one_value_in(source: Source, boxes: Sequence[Box], known: np.ndarray) -> bool:
    value = known.reshape(len(known), -1)[:, :1]
    for box in boxes:
        voxels = source.read(box)
        if not (voxels.reshape(len(voxels), -1) == value).all():
            return False
    return True
