"""Augmentation: the variations of a patch under which its segmentation must not change.

Where patches lie is ``patches``' work. Everything is drawn from the generator that is passed in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from bigunet.errors import TrainingError
from bigunet.geometry import Box, ceil_div

_ELASTIC_SPACING = 24
"""Voxels between the control points of the elastic deformation: about a nucleus."""


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How far patches are varied.

    Parameters
    ----------
    flips : bool
        Mirror along each axis, and exchange the last two where they are equally long: all turns
        by 90 degrees.
    warp_share : float
        Share of the patches that are turned by any angle, scaled and deformed.
    scale : tuple of float
        Smallest and largest magnification.
    elastic_voxels : float
        Standard deviation of the elastic displacement.
    grey_share : float
        Share of the patches to which each change of the grey values is applied.
    gain, gamma : tuple of float
        Smallest and largest factor and exponent, drawn evenly on the logarithm.
    offset, noise, blur_voxels : float
        Largest offset, standard deviation of noise, and sigma of the Gaussian blur.
    """

    flips: bool = True
    warp_share: float = 0.5
    scale: tuple[float, float] = (0.7, 1.4)
    elastic_voxels: float = 1.0
    grey_share: float = 0.5
    gain: tuple[float, float] = (0.15, 1.5)
    gamma: tuple[float, float] = (0.6, 1.6)
    offset: float = 0.08
    noise: float = 0.05
    blur_voxels: float = 1.2

    def __post_init__(self) -> None:
        for name in ("scale", "gain", "gamma"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise TrainingError(f"{name} is {(low, high)}; give 0 < smallest <= largest")
        for name in ("warp_share", "grey_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise TrainingError(f"{name} is {getattr(self, name)}; give a share from 0 to 1")


NO_AUGMENTATION = Augmentation(flips=False, warp_share=0.0, grey_share=0.0)


def positions(box: Box, augmentation: Augmentation, rng: np.random.Generator) -> np.ndarray:
    """Where in the image each voxel of a turned, scaled and deformed patch comes from.

    Returns
    -------
    ndarray of float, (axis, *box.shape)
        Fractional voxels of the image; the patch turns about the centre of ``box``.
    """
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in box.shape), indexing="ij"))
    middle = np.array([(n - 1) / 2 for n in box.shape]).reshape(-1, *(1,) * box.ndim)
    start = np.array(box.start).reshape(middle.shape)
    matrix = np.eye(box.ndim) / _between(augmentation.scale, rng)
    if box.ndim > 1:
        angle = rng.uniform(0, 2 * math.pi)
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        matrix[-2:, -2:] = turn @ matrix[-2:, -2:]
    turned = np.tensordot(matrix, grid - middle, axes=1)
    where: np.ndarray = start + middle + turned + _displacement(box, augmentation, rng)
    return where


def varied(
    image: np.ndarray,
    instances: np.ndarray,
    augmentation: Augmentation,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Flip and transpose the image (channel, *space) and its instances (*space) alike."""
    if not augmentation.flips:
        return image, instances
    turned = tuple(axis for axis in range(-instances.ndim, 0) if rng.random() < 0.5)
    image, instances = np.flip(image, turned), np.flip(instances, turned)
    square = instances.ndim > 1 and instances.shape[-1] == instances.shape[-2]
    if square and rng.random() < 0.5:
        image, instances = np.swapaxes(image, -1, -2), np.swapaxes(instances, -1, -2)
    return image, instances


def vary_greys(
    image: np.ndarray, augmentation: Augmentation, rng: np.random.Generator
) -> np.ndarray:
    """Vary contrast, brightness, sharpness and noise of a normalised image (channel, *space)."""
    share = augmentation.grey_share
    if rng.random() < share:
        # Values are unbounded on both sides, and a power is defined on one only.
        power = _between(augmentation.gamma, rng)
        image = np.sign(image) * np.abs(image) ** power
    if rng.random() < share:
        sigma = rng.uniform(0, augmentation.blur_voxels)
        image = ndimage.gaussian_filter(image, (0, *(sigma,) * (image.ndim - 1)), mode="mirror")
    if rng.random() < share:
        image = image + rng.normal(0, rng.uniform(0, augmentation.noise), image.shape)
    # Last, so that dark patches are as noisy for their contrast as bright ones.
    if rng.random() < share:
        image = image * _between(augmentation.gain, rng)
    if rng.random() < share:
        image = image + rng.uniform(-augmentation.offset, augmentation.offset)
    return np.ascontiguousarray(image, np.float32)


def _displacement(box: Box, augmentation: Augmentation, rng: np.random.Generator) -> np.ndarray:
    """Smooth random displacement per axis, (axis, *box.shape)."""
    if augmentation.elastic_voxels == 0:
        return np.zeros((box.ndim, *box.shape))
    coarse = [ceil_div(n, _ELASTIC_SPACING) + 3 for n in box.shape]
    points = rng.normal(0, augmentation.elastic_voxels, (box.ndim, *coarse))
    axes = [np.arange(n) / _ELASTIC_SPACING + 1 for n in box.shape]
    where = np.stack(np.meshgrid(*axes, indexing="ij"))
    return np.stack([ndimage.map_coordinates(p, where, order=3, prefilter=False) for p in points])


def _between(limits: tuple[float, float], rng: np.random.Generator) -> float:
    """A factor between the limits, halving as likely as doubling."""
    return math.exp(rng.uniform(math.log(limits[0]), math.log(limits[1])))
