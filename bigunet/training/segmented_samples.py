"""Segmentation of whole samples in training, tile by tile, exactly as ``segment`` does it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bigunet.geometry import Box
from bigunet.model.inference.forward import Predictor
from bigunet.model.inference.score_maps import labels_of
from bigunet.model.model import Model
from bigunet.options.choices import Precision
from bigunet.tiling import Tiling
from bigunet.training.data.samples import Sample

_TILE_VOXELS = 2**20
OnVoxels = Callable[[int], None]
"""A function that is called after each tile, with the number of voxels segmented."""


def _ignore_voxels(voxels: int) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Segmented:
    """A plane (or volume) that was segmented, with its truth.

    Parameters
    ----------
    truth : ndarray of int, (*space)
        Numbers of objects, or values of classes. Voxels that nobody annotated do not count in
        scores.
    classes : ndarray of uint8, (*space)
        The class that the network gave to each voxel.
    """

    truth: np.ndarray
    classes: np.ndarray


@dataclass(frozen=True, slots=True)
class Scored:
    """The scores of the classes in a plane (or volume), with its truth.

    Parameters
    ----------
    truth : ndarray of int, (*space)
    scores : ndarray of float16, (class, *space)
        Each voxel's largest score is subtracted from all its scores, so that float16 keeps small
        differences.
    """

    truth: np.ndarray
    scores: np.ndarray

    def segmented(self, offsets: Sequence[float]) -> Segmented:
        """The segmentation after offsets, one per class, were added to the scores."""
        added = torch.tensor(offsets).reshape(-1, *(1,) * self.truth.ndim)
        return Segmented(self.truth, labels_of(torch.from_numpy(self.scores) + added).numpy())


def segment_samples(
    model: Model,
    samples: Sequence[Sample],
    *,
    device: str,
    precision: Precision = "fp32",
    max_voxels: int = 2**25,
    on_voxels: OnVoxels = _ignore_voxels,
) -> Iterator[Segmented]:
    """Segment whole samples, plane by plane where the network has fewer axes than the samples.

    Parameters
    ----------
    model : Model
    samples : sequence of Sample
    device : str
    precision : {"fp32", "bf16", "fp16"}
    max_voxels : int
        The most voxels of each sample; the middle of a larger sample is segmented.
    on_voxels : callable
    """
    for sample in samples:
        predictor = Predictor(model, sample.grey_range, device=device, precision=precision)
        part = _middle(sample, max_voxels)
        for plane in _planes(part.image.shape, model.ndim):
            classes = _classes(predictor, model, part, plane, on_voxels)
            truth = part.labels.read(plane)[0]
            yield Segmented(truth.reshape(classes.shape), classes)


def score_samples(
    model: Model,
    samples: Sequence[Sample],
    *,
    device: str,
    precision: Precision = "fp32",
    max_voxels: int,
    on_voxels: OnVoxels = _ignore_voxels,
) -> list[Scored]:
    """Scores of whole samples, kept in memory all at once.

    Parameters
    ----------
    model, samples, device, precision, on_voxels
        As in :func:`segment_samples`.
    max_voxels : int
        The most voxels of all samples together. Samples beyond it are left out; if the first
        sample alone is larger, its middle is scored.
    """
    scored: list[Scored] = []
    left = max_voxels
    for sample in samples:
        part = _middle(sample, max_voxels)
        left -= int(np.prod(part.image.shape))
        if left < 0 and scored:
            break
        predictor = Predictor(model, sample.grey_range, device=device, precision=precision)
        for plane in _planes(part.image.shape, model.ndim):
            scores = _scores(predictor, model, part, plane, on_voxels)
            truth = part.labels.read(plane)[0]
            scored.append(Scored(truth.reshape(scores.shape[1:]), scores))
    return scored


def _middle(sample: Sample, max_voxels: int) -> Sample:
    shape = sample.image.shape
    size = int(np.prod(shape))
    if size <= max_voxels:
        return sample
    factor = (max_voxels / size) ** (1 / len(shape))
    kept = [max(1, int(n * factor)) for n in shape]
    # The middle of the annotated part, where only a part is annotated.
    middle = [(a + b) // 2 for a, b in zip(sample.worth_drawing.start, sample.worth_drawing.stop)]
    start = tuple(min(max(0, m - k // 2), n - k) for m, n, k in zip(middle, shape, kept))
    return sample.part(Box(start, tuple(a + k for a, k in zip(start, kept))))


def _planes(shape: Sequence[int], ndim: int) -> Iterator[Box]:
    leading = tuple(shape[: len(shape) - ndim])
    for index in np.ndindex(*leading):
        start = tuple(index) + (0,) * ndim
        yield Box(start, tuple(i + 1 for i in index) + tuple(shape[len(leading) :]))


def _classes(
    predictor: Predictor, model: Model, sample: Sample, plane: Box, on_voxels: OnVoxels
) -> np.ndarray:
    classes = np.empty(plane.shape, np.uint8)
    for where, scores in _tiles(predictor, model, sample, plane):
        classes[where] = labels_of(scores).cpu().numpy()
        on_voxels(classes[where].size)
    return classes.reshape(plane.shape[plane.ndim - model.ndim :])


def _scores(
    predictor: Predictor, model: Model, sample: Sample, plane: Box, on_voxels: OnVoxels
) -> np.ndarray:
    whole: np.ndarray | None = None
    for where, scores in _tiles(predictor, model, sample, plane):
        if whole is None:
            whole = np.empty((scores.shape[0], *plane.shape), np.float16)
        whole[(slice(None), *where)] = (scores - scores.amax(dim=0)).half().cpu().numpy()
        on_voxels(whole[0][where].size)
    assert whole is not None
    return whole.reshape(whole.shape[0], *plane.shape[plane.ndim - model.ndim :])


def _tiles(
    predictor: Predictor, model: Model, sample: Sample, plane: Box
) -> Iterator[tuple[tuple[slice, ...], Tensor]]:
    """The tiles of a plane: the place of each tile in it, and its scores (class, *output)."""
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
