"""Labelled images as training reads them: box by box, from wherever they are stored."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bigunet.errors import TrainingError
from bigunet.geometry import Box, ceil_div
from bigunet.io.decoded import read_mirrored
from bigunet.io.sources import Source
from bigunet.model.forward import GreyRange
from bigunet.training.targets import TargetRule, classes_of

_BOX_VOXELS = 2**22
_MAX_BOXES = 256
"""How many boxes of a label image are counted at most: a gigavoxel, evenly spread."""


class Part:
    """A box of a source that stands for the whole: what lies outside is mirrored, never read.

    Parameters
    ----------
    source : Source
    region : Box
        Within the source's shape.
    """

    def __init__(self, source: Source, region: Box) -> None:
        if not Box.of_shape(source.shape).contains(region) or region.size == 0:
            raise TrainingError(f"{source.url} of shape {source.shape} has no part {region}")
        self._source = source
        self._region = region
        self.url = source.url
        self.axes = source.axes
        self.shape = region.shape
        self.dtype = source.dtype
        self.num_channels = source.num_channels
        self.scale_um = source.scale_um

    def read(self, box: Box) -> np.ndarray:
        """Voxels (channel, *box.shape), mirrored at the edges of the part."""
        return read_mirrored(
            lambda inner: self._source.read(inner.shift(self._region.start)), box, self.shape
        )

    def percentiles(self, quantiles: Sequence[float]) -> tuple[tuple[float, ...], ...]:
        """Those of the whole source: the image is normalised as ``segment`` will."""
        return self._source.percentiles(quantiles)


@dataclass(frozen=True, slots=True)
class Sample:
    """One labelled image.

    Parameters
    ----------
    image, labels : Source
        Of one shape and the same axes; the labels are integers of one channel.
    grey_range : GreyRange
        Grey values that become 0 and 1.
    weight : float
        How often patches come from this image, relative to the others.
    spacing : tuple of float
        Size of a voxel along each axis, in units of the smallest.
    terms : Source or None
        The border term of the weight map where it was kept; None computes it for each patch.
    """

    image: Source
    labels: Source
    grey_range: GreyRange
    weight: float = 1.0
    spacing: tuple[float, ...] = ()
    terms: Source | None = None

    def __post_init__(self) -> None:
        if self.image.shape != self.labels.shape:
            raise TrainingError(
                f"{self.image.url} has shape {self.image.shape}, its labels "
                f"{self.labels.url} {self.labels.shape}; give labels of the same shape"
            )
        if not self.weight > 0:
            raise TrainingError(f"{self.image.url} has weight {self.weight}; give a positive one")
        if not self.spacing:
            object.__setattr__(self, "spacing", (1.0,) * len(self.image.shape))

    def grey(self, box: Box) -> np.ndarray:
        """Normalised image (channel, *box.shape), float32.

        Raises
        ------
        TrainingError
            If a voxel is NaN or infinite.
        """
        voxels = self.image.read(box)
        if voxels.dtype.kind == "f" and not np.isfinite(voxels).all():
            raise TrainingError(
                f"{self.image.url} has {np.count_nonzero(~np.isfinite(voxels))} values that are "
                f"NaN or infinite in {box}; replace them, or leave the image out"
            )
        along = (-1, *(1,) * len(box.shape))
        low = np.array(self.grey_range.low).reshape(along)
        span = np.array(self.grey_range.high).reshape(along) - low
        return np.asarray((voxels - low) / span, np.float32)

    def part(self, region: Box) -> Sample:
        """This sample, cut to ``region``."""
        terms = None if self.terms is None else Part(self.terms, region)
        return replace(
            self, image=Part(self.image, region), labels=Part(self.labels, region), terms=terms
        )

    def label_boxes(self) -> Iterator[Box]:
        """Boxes that tell about all labels: all of them, or evenly spread ones of huge images."""
        shape, size = self.labels.shape, list(self.labels.shape)
        for axis in range(len(size)):
            others = int(np.prod([n for k, n in enumerate(size) if k != axis]))
            size[axis] = min(size[axis], max(64, _BOX_VOXELS // max(1, others)))
        counts = [ceil_div(n, s) for n, s in zip(shape, size)]
        total = int(np.prod(counts))
        step = max(1, ceil_div(total, _MAX_BOXES))
        for index, cell in enumerate(itertools.product(*map(range, counts))):
            if index % step == 0:
                start = tuple(c * s for c, s in zip(cell, size))
                stop = tuple(min(a + s, n) for a, s, n in zip(start, size, shape))
                yield Box(start, stop)


@dataclass(frozen=True, slots=True)
class Census:
    """What the labels of a training set hold.

    Parameters
    ----------
    counts : tuple of int
        Voxels of each class.
    objects : tuple of int
        Different labels but 0 in each sample.
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
        ids: set[int] = set()
        for box in sample.label_boxes():
            labels = sample.labels.read(box)[0]
            ids |= (
                {int(v) for v in np.unique(labels) if v != 0} if rule.kind != "classes" else set()
            )
            for plane in planes_of(labels, warped_ndim):
                counts += np.bincount(classes_of(plane, rule).ravel(), minlength=rule.num_classes)[
                    : rule.num_classes
                ]
        objects.append(len(ids))
    missing = [name for name, count in zip(rule.class_names, counts) if count == 0]
    if missing:
        raise TrainingError(
            f"no voxel of the training labels is of class {', '.join(missing)}; a network cannot "
            "learn what never occurs: check the labels, --target and --label-values"
        )
    return Census(tuple(int(n) for n in counts), tuple(objects))


def planes_of(array: np.ndarray, ndim: int) -> np.ndarray:
    """The array with all but its last ``ndim`` axes made one: (plane, *space)."""
    return array.reshape(-1, *array.shape[array.ndim - ndim :])


def split_samples(
    samples: Sequence[Sample], share: float, *, seed: int
) -> tuple[list[Sample], list[Sample]]:
    """Training samples and those kept apart for validation.

    Whole images are kept apart, chosen by the hash of their names, in whichever order they come.
    Of a single image, the end of its longest axis is (of the first, where planes of a
    stack are).

    Parameters
    ----------
    samples : sequence of Sample
    share : float
        Of the images, 0 to below 1; at least one image, unless it is 0.
    seed : int
        Another one, another split.
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
    name = Path(str(sample.image.url)).name
    return hashlib.sha256(f"{seed} {name}".encode()).hexdigest()


def weigh(samples: Sequence[Sample], census: Census, by: str) -> list[Sample]:
    """The samples with weights by their voxels, objects, or none."""
    weights: dict[str, Any] = {
        "voxels": [float(np.prod(s.image.shape)) for s in samples],
        "objects": [float(max(1, n)) for n in census.objects],
        "images": [1.0] * len(samples),
    }
    return [replace(s, weight=w) for s, w in zip(samples, weights[by])]
