"""Validation: whole images kept apart, segmented as ``segment`` does, and one score for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bigunet.choices import Precision, ScoreName
from bigunet.geometry import Box
from bigunet.io.sources.annotations import is_annotated
from bigunet.labels import instances_of
from bigunet.metrics.matches import Matches
from bigunet.metrics.objects import match_objects
from bigunet.metrics.partitions import v_rand
from bigunet.metrics.pixels import dice
from bigunet.model.inference.forward import Predictor, labels_of
from bigunet.model.model import Model
from bigunet.tiling import Tiling
from bigunet.training.data.samples import Sample
from bigunet.training.data.targets import BORDER, CELL, INTERIOR, TargetRule, classes_of

SMALLEST_OBJECT = 12
"""Voxels; smaller objects are not counted as found."""
_TILE_VOXELS = 2**20


def _say_nothing(voxels: int) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Seen:
    """A plane (or volume) that was segmented, with its truth.

    Parameters
    ----------
    labels : ndarray of int, (*space)
        Objects, or values of classes; what nobody annotated has no part in scores.
    found : ndarray of uint8, (*space)
        Class of each voxel.
    """

    labels: np.ndarray
    found: np.ndarray


@dataclass(frozen=True, slots=True)
class Scored:
    """The scores of a plane (or volume), with its truth.

    Parameters
    ----------
    labels : ndarray of int, (*space)
    scores : ndarray of float16, (class, *space)
        Less the largest of each voxel, so that small differences are kept.
    """

    labels: np.ndarray
    scores: np.ndarray

    def seen(self, offsets: Sequence[float]) -> Seen:
        """The segmentation where these are added to the scores of the classes."""
        added = torch.tensor(offsets).reshape(-1, *(1,) * self.labels.ndim)
        return Seen(self.labels, labels_of(torch.from_numpy(self.scores) + added).numpy())


def score_name(rule: TargetRule, name: ScoreName) -> str:
    """What ``auto`` means for a target."""
    if name != "auto":
        return name
    return {"cells": "average-precision", "boundaries": "v-rand", "classes": "dice"}[rule.kind]


def segment_samples(
    model: Model,
    samples: Sequence[Sample],
    *,
    device: str,
    precision: Precision = "fp32",
    max_voxels: int = 2**25,
    on_voxels: Callable[[int], None] = _say_nothing,
) -> Iterator[Seen]:
    """Segment whole samples, plane by plane where the network has fewer axes.

    Parameters
    ----------
    model : Model
    samples : sequence of Sample
    device : str
    precision : {"fp32", "bf16", "fp16"}
    max_voxels : int
        Of each sample, its middle part of at most so many.
    on_voxels : callable
        Called with the number of voxels of each tile, once it is segmented.
    """
    for sample in samples:
        predictor = Predictor(model, sample.grey_range, device=device, precision=precision)
        part = _middle(sample, max_voxels)
        for plane in _planes(part.image.shape, model.ndim):
            found = _segmented(predictor, model, part, plane, on_voxels)
            labels = part.labels.read(plane)[0]
            yield Seen(labels.reshape(found.shape), found)


def score_samples(
    model: Model,
    samples: Sequence[Sample],
    *,
    device: str,
    precision: Precision = "fp32",
    max_voxels: int,
    on_voxels: Callable[[int], None] = _say_nothing,
) -> list[Scored]:
    """Scores of whole samples, as :func:`segment_samples` takes them, of all to keep at once.

    Parameters
    ----------
    max_voxels : int
        Of all samples together; those beyond are left out, and of the first its middle part.
    on_voxels : callable
        As of :func:`segment_samples`.
    """
    found: list[Scored] = []
    left = max_voxels
    for sample in samples:
        part = _middle(sample, max_voxels)
        left -= int(np.prod(part.image.shape))
        if left < 0 and found:
            break
        predictor = Predictor(model, sample.grey_range, device=device, precision=precision)
        for plane in _planes(part.image.shape, model.ndim):
            scores = _scored(predictor, model, part, plane, on_voxels)
            labels = part.labels.read(plane)[0]
            found.append(Scored(labels.reshape(scores.shape[1:]), scores))
    return found


def score_of(seen: Iterable[Seen], rule: TargetRule, name: str) -> float:
    """Score of segmented samples, 0 to 1, higher is better; each is looked at once.

    Average precision counts the objects of all samples together; V^Rand and Dice are means.
    What was found where nobody annotated is taken for class 0 there, whatever it is, so that no
    score depends on it; samples without any annotated voxel are left out.

    Returns
    -------
    float
        NaN where there is nothing to score.
    """
    matches, any_known = Matches(), False
    scores: list[float] = []
    for one in seen:
        known = is_annotated(one.labels)
        if not known.any():
            continue
        any_known = True
        found = np.where(known, one.found, 0)
        if name == "average-precision":
            objects = np.where(known, objects_of(found, rule), 0)
            matches += match_objects(np.where(known, one.labels, 0), objects)
            continue
        truth = classes_of(one.labels, rule)
        if name == "v-rand":
            scores.append(v_rand(found == INTERIOR, truth == INTERIOR))
        else:
            found, truth = found[known], truth[known]
            scores += [dice(found == c, truth == c) for c in range(rule.num_classes)]
    if name == "average-precision" and any_known:
        return matches.average_precision
    numbers = [score for score in scores if not np.isnan(score)]
    return float(np.mean(numbers)) if numbers else np.nan


def objects_of(found: np.ndarray, rule: TargetRule) -> np.ndarray:
    """Objects of the class cell, but for the smallest, their border given back; (*space)."""
    return instances_of(
        found,
        CELL,
        smallest=SMALLEST_OBJECT,
        border=BORDER if rule.border_width else None,
        border_width=rule.border_width,
    )


def equal_labels(first: Iterable[Seen], second: Iterable[Seen]) -> float:
    """Share of voxels of one class in both."""
    same = total = 0
    for a, b in zip(first, second):
        same += int((a.found == b.found).sum())
        total += a.found.size
    return same / max(1, total)


def _middle(sample: Sample, max_voxels: int) -> Sample:
    shape = sample.image.shape
    size = int(np.prod(shape))
    if size <= max_voxels:
        return sample
    factor = (max_voxels / size) ** (1 / len(shape))
    kept = [max(1, int(n * factor)) for n in shape]
    # Of what is annotated, if that is a part.
    middle = [(a + b) // 2 for a, b in zip(sample.worth_drawing.start, sample.worth_drawing.stop)]
    start = tuple(min(max(0, m - k // 2), n - k) for m, n, k in zip(middle, shape, kept))
    return sample.part(Box(start, tuple(a + k for a, k in zip(start, kept))))


def _planes(shape: Sequence[int], ndim: int) -> Iterator[Box]:
    leading = tuple(shape[: len(shape) - ndim])
    for index in np.ndindex(*leading):
        start = tuple(index) + (0,) * ndim
        yield Box(start, tuple(i + 1 for i in index) + tuple(shape[len(leading) :]))


def _segmented(
    predictor: Predictor,
    model: Model,
    sample: Sample,
    plane: Box,
    on_voxels: Callable[[int], None],
) -> np.ndarray:
    found = np.empty(plane.shape, np.uint8)
    for where, scores in _tiles(predictor, model, sample, plane):
        found[where] = labels_of(scores).cpu().numpy()
        on_voxels(found[where].size)
    return found.reshape(plane.shape[plane.ndim - model.ndim :])


def _scored(
    predictor: Predictor,
    model: Model,
    sample: Sample,
    plane: Box,
    on_voxels: Callable[[int], None],
) -> np.ndarray:
    found: np.ndarray | None = None
    for where, scores in _tiles(predictor, model, sample, plane):
        if found is None:
            found = np.empty((scores.shape[0], *plane.shape), np.float16)
        found[(slice(None), *where)] = (scores - scores.amax(dim=0)).half().cpu().numpy()
        on_voxels(found[0][where].size)
    assert found is not None
    return found.reshape(found.shape[0], *plane.shape[plane.ndim - model.ndim :])


def _tiles(
    predictor: Predictor, model: Model, sample: Sample, plane: Box
) -> Iterator[tuple[tuple[slice, ...], Tensor]]:
    """Scores, (class, *output), of the tiles of a plane, and where in it they belong."""
    leading = plane.ndim - model.ndim
    side = int(_TILE_VOXELS ** (1 / model.ndim))
    field = model.receptive_field.with_leading_axes(leading)
    tiling = Tiling(field, (1,) * leading + (side,) * model.ndim)
    for tile in tiling.tiles(plane):
        image = sample.image.read(tile.input)
        image = image.reshape(image.shape[0], *image.shape[1 + leading :])
        scores = predictor.scores(image)
        scores = scores.reshape(scores.shape[0], *tile.scores.shape)
        kept = scores[(slice(None), *tile.output.within(tile.scores))]
        yield tile.output.within(plane), kept
