"""Patches: where training looks in its labelled images, mirrored beyond their edges.

How a patch is varied is ``augment``'s work; images come as arrays, from wherever they are stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from bigunet.errors import TrainingError
from bigunet.geometry import Box
from bigunet.training.augment import Augmentation, positions, varied, vary_greys


@dataclass(frozen=True, slots=True)
class Sample:
    """One labelled image.

    Parameters
    ----------
    image : ndarray of float32, (channel, *space)
        Normalised: most values from 0 to 1.
    instances : ndarray of int, (*space)
        0 is background; every other value is one object.
    weight : float
        How often patches come from this image, relative to the other images.
    """

    image: np.ndarray
    instances: np.ndarray
    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.image.shape[1:] != self.instances.shape:
            raise TrainingError(
                f"an image of {self.image.shape} (channel first) has instances of "
                f"{self.instances.shape}; give them the same shape without the channel"
            )
        if self.instances.dtype.kind not in "iu":
            raise TrainingError(
                f"instances are {self.instances.dtype}; give integers, 0 for background"
            )
        if not self.weight > 0:
            raise TrainingError(f"an image has weight {self.weight}; give a positive one")


@dataclass(frozen=True, slots=True)
class Patch:
    """What the network sees in one training sample, and the truth for it.

    Parameters
    ----------
    image : ndarray of float32, (channel, *space)
    instances : ndarray of int32, (*space)
        Of the same voxels as ``image``.
    """

    image: np.ndarray
    instances: np.ndarray


def mirrored(array: np.ndarray, box: Box) -> np.ndarray:
    """The voxels of ``box``, mirrored about the edge voxels wherever it leaves the array.

    Parameters
    ----------
    array : ndarray, (..., *space)
        The box speaks of the last axes.
    box : Box
        May lie outside altogether.

    Examples
    --------
    >>> mirrored(np.array([0, 1, 2]), Box((-2,), (8,)))
    array([2, 1, 0, 1, 2, 1, 0, 1, 2, 1])
    """
    for axis, start, stop in zip(range(-box.ndim, 0), box.start, box.stop):
        indices = _reflected(np.arange(start, stop), array.shape[axis])
        array = np.take(array, indices, axis=axis)
    return array


def cut(sample: Sample, box: Box) -> Patch:
    """The patch of ``sample`` at ``box``, as it is."""
    instances = mirrored(sample.instances, box).astype(np.int32)
    return Patch(mirrored(sample.image, box), instances)


def draw_box(sample: Sample, shape: Sequence[int], rng: np.random.Generator) -> Box:
    """A box of ``shape`` whose centre is any voxel of the image, all equally likely."""
    centre = [int(rng.integers(size)) for size in sample.instances.shape]
    start = tuple(c - n // 2 for c, n in zip(centre, shape))
    return Box(start, tuple(a + n for a, n in zip(start, shape)))


def draw_patch(
    samples: Sequence[Sample],
    shape: Sequence[int],
    augmentation: Augmentation,
    rng: np.random.Generator,
) -> Patch:
    """A random patch of a random image, augmented.

    Parameters
    ----------
    samples : sequence of Sample
        Drawn by their weights.
    shape : sequence of int
        Of the patch, without channels.
    augmentation : Augmentation
    rng : numpy.random.Generator
        The only source of chance.
    """
    weights = np.array([sample.weight for sample in samples])
    sample = samples[rng.choice(len(samples), p=weights / weights.sum())]
    box = draw_box(sample, shape, rng)
    if rng.random() < augmentation.warp_share:
        patch = _warped(sample, positions(box, augmentation, rng))
    else:
        patch = cut(sample, box)
    image, instances = varied(patch.image, patch.instances, augmentation, rng)
    return Patch(vary_greys(image, augmentation, rng), instances)


def _warped(sample: Sample, where: np.ndarray) -> Patch:
    """The sample at fractional positions (axis, *space): linear in grey values, nearest in ids."""
    # scipy's "mirror" is numpy's "reflect": the edge voxel is not repeated.
    channels = [
        ndimage.map_coordinates(channel, where, order=1, mode="mirror") for channel in sample.image
    ]
    instances = ndimage.map_coordinates(
        sample.instances.astype(np.int32), where, order=0, mode="mirror"
    )
    return Patch(np.stack(channels).astype(np.float32), instances)


def _reflected(indices: np.ndarray, size: int) -> np.ndarray:
    period = max(1, 2 * size - 2)
    folded = indices % period
    return np.minimum(folded, period - folded) if size > 1 else folded
