"""Patches: the training samples of the network, numbered, so that each can be drawn again.

Patch ``k`` of a run depends only on the recipe's seed and on ``k``, whichever process draws it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bigunet.errors import TrainingError
from bigunet.geometry import Box
from bigunet.io.sources.annotations import is_annotated
from bigunet.receptive import ReceptiveField
from bigunet.training.data.augment import draw_motion, vary_greys
from bigunet.training.data.motion import Motion
from bigunet.training.data.samples import Sample
from bigunet.training.data.targets import TargetRule, classes_of
from bigunet.training.data.weight_map import border_reach, border_term
from bigunet.training.recipe import Recipe

_TRIES = 100
"""Number of tries to draw a patch that has an annotated voxel."""
_PICTURED = {2: 128, 3: 32}
"""Voxels along each axis of a patch in a picture, by the number of the network's axes."""


@dataclass(frozen=True, slots=True)
class Patch:
    """One training sample of the network.

    Parameters
    ----------
    image : ndarray of float32, (channel, *space)
        Normalised and varied grey values, with the context that the network needs.
    classes : ndarray of uint8, (*inner)
        True classes of the scored voxels: those of ``image`` without the network's border.
    weights : ndarray of float32, (*inner)
        Weight map of the scored voxels; 0 where nobody annotated a voxel.
    """

    image: np.ndarray
    classes: np.ndarray
    weights: np.ndarray


class PatchSource:
    """Draws patches of labelled images; it can be pickled, so that processes can share the work.

    Parameters
    ----------
    samples : sequence of Sample
        Images with at least as many axes as the network, which sees the last axes.
    recipe : Recipe
    rule : TargetRule
    class_weights : sequence of float
        w_c, the weight of each class.
    field : ReceptiveField
        The receptive field of the network, along the network's axes.
    annotated_share : float
        Share of all voxels that somebody annotated, above 0 and at most 1. Annotated voxels weigh
        more by its inverse, so that a voxel still weighs 1 on average.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        recipe: Recipe,
        rule: TargetRule,
        class_weights: Sequence[float],
        field: ReceptiveField,
        *,
        annotated_share: float = 1.0,
    ) -> None:
        if not samples:
            raise TrainingError("there is no image to train on")
        self._samples = list(samples)
        total = sum(sample.weight for sample in samples)
        self._chances = np.array([sample.weight / total for sample in samples])
        self._recipe = recipe
        self._rule = rule
        self._class_weights = np.asarray(class_weights, np.float32)
        self._field = field
        self._factor = np.float32(1 / annotated_share)
        self._border_weight = recipe.border_weight_of(rule.kind, field.ndim)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a patch's image, without its channels."""
        return self._field.input_shape((self._recipe.patch,) * self._field.ndim)

    def for_pictures(self) -> PatchSource:
        """A source of small patches that are drawn fast.

        In volumes they have no border term, unless the term was kept.
        """
        size = min(self._recipe.patch, _PICTURED[self._field.ndim])
        are_kept = all(sample.terms is not None for sample in self._samples)
        w0 = self._border_weight if self._field.ndim < 3 or are_kept else 0.0
        return PatchSource(
            self._samples,
            replace(self._recipe, patch=size, border_weight=w0),
            self._rule,
            self._class_weights.tolist(),
            self._field,
            annotated_share=float(1 / self._factor),
        )

    def draw(self, index: int) -> Patch:
        """Draw the patch with number ``index``.

        A patch without an annotated voxel is drawn again, up to 100 times. If all tries fail, the
        patch has no weight.
        """
        rng = np.random.default_rng([self._recipe.seed, index])
        for _ in range(_TRIES):
            sample = self._samples[rng.choice(len(self._samples), p=self._chances)]
            motion = self._draw_motion(sample, rng)
            classes, known = self._truth(motion, sample.labels.read(motion.source)[0])
            if known.any():
                break
        image = motion.image(sample.grey(motion.source))
        weights = self._class_weights[classes]
        if self._border_weight > 0 and self._rule.kind != "classes":
            term = self._border_term(sample, motion.source)
            weights = weights + self._space(motion.weights(term, self._inner(0)))
        weights = np.where(known, weights * self._factor, 0)
        image = vary_greys(image.reshape(len(image), *self.shape), self._recipe.augmentation, rng)
        return Patch(
            np.ascontiguousarray(image, np.float32),
            np.ascontiguousarray(classes),
            np.ascontiguousarray(weights, np.float32),
        )

    def _draw_motion(self, sample: Sample, rng: np.random.Generator) -> Motion:
        return draw_motion(
            self._draw_box(sample, rng),
            self._recipe.augmentation,
            rng,
            warped_ndim=self._field.ndim,
            spacing=sample.spacing,
        )

    def _inner(self, margin: int) -> tuple[slice, ...]:
        """The scored part of a patch, and ``margin`` voxels around it, within the patch."""
        margins = [min(margin, b) for b in self._field.border]
        sides = zip(self._field.border, margins, self.shape)
        return tuple(slice(b - m, n - b + m) for b, m, n in sides)

    def _space(self, array: np.ndarray) -> np.ndarray:
        """The array without the axes that the network does not see; their extent is 1."""
        return array.reshape(array.shape[array.ndim - self._field.ndim :])

    def _truth(self, motion: Motion, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Classes of the scored voxels, and which of them somebody annotated."""
        margin = self._rule.margin
        labels = self._space(motion.labels(ids, self._inner(margin)))
        kept = [min(margin, b) for b in self._field.border]
        inner = tuple(slice(m, n - m) for m, n in zip(kept, labels.shape))
        return classes_of(labels, self._rule)[inner], is_annotated(labels[inner])

    def _draw_box(self, sample: Sample, rng: np.random.Generator) -> Box:
        """A box around a random centre; all voxels of the annotated box are equally likely."""
        region = sample.worth_drawing
        shape = (1,) * (region.ndim - self._field.ndim) + self.shape
        centre = [a + int(rng.integers(size)) for a, size in zip(region.start, region.shape)]
        start = tuple(c - n // 2 for c, n in zip(centre, shape))
        return Box(start, tuple(a + n for a, n in zip(start, shape)))

    def _border_term(self, sample: Sample, box: Box) -> np.ndarray:
        if sample.terms is not None:
            return np.asarray(sample.terms.read(box)[0])
        return read_border_term(sample, box, self._recipe, ndim=self._field.ndim)


def read_border_term(sample: Sample, box: Box, recipe: Recipe, *, ndim: int) -> np.ndarray:
    """The border term of the weight map in ``box``, equal to that of the whole image.

    Parameters
    ----------
    sample : Sample
    box : Box
        It may leave the image; outside, the labels are mirrored.
    recipe : Recipe
        Gives sigma and w0; if it has no w0, the w0 of cells is used.
    ndim : int
        Number of axes that the network sees. Along other axes, each plane has its own cells.

    Returns
    -------
    ndarray of float32, with the shape of ``box``
    """
    spacing = sample.spacing[-ndim:]
    w0, sigma = recipe.border_weight_of("cells", ndim), recipe.border_sigma
    reach = border_reach(w0=w0, sigma=sigma, spacing=spacing, ndim=ndim)
    reach = (0,) * (box.ndim - ndim) + reach
    grown = Box(
        tuple(a - r for a, r in zip(box.start, reach)),
        tuple(b + r for b, r in zip(box.stop, reach)),
    )
    labels = sample.labels.read(grown)[0]
    planes = labels.reshape(-1, *labels.shape[-ndim:])
    terms = np.stack([border_term(plane, w0=w0, sigma=sigma, spacing=spacing) for plane in planes])
    inner = tuple(slice(r, n - r) for r, n in zip(reach, labels.shape))
    return terms.reshape(labels.shape)[inner]
