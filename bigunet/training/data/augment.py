"""Augmentation: the variations of a patch under which its segmentation must not change.

This module draws how far a patch moves and how its grey values change. ``motion`` moves the patch,
and ``patches`` draws its place. All random numbers come from the generator that is passed in.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from bigunet.errors import TrainingError
from bigunet.geometry import Box
from bigunet.training.augmentation import Augmentation
from bigunet.training.data.motion import Motion, affine_positions, elastic_displacement

NO_AUGMENTATION = Augmentation(flips=False, warp_share=0.0, grey_share=0.0)


def draw_motion(
    box: Box,
    augmentation: Augmentation,
    rng: np.random.Generator,
    *,
    warped_ndim: int,
    spacing: Sequence[float],
) -> Motion:
    """Draw how the patch at ``box`` is turned, scaled, shifted, deformed and mirrored.

    Parameters
    ----------
    box : Box
        The box, in voxels, with all axes of the image; it may leave the image.
    augmentation : Augmentation
    rng : numpy.random.Generator
    warped_ndim : int
        Number of last axes that may move, 2 or 3; ``box`` has 1 voxel along each other axis.
    spacing : sequence of float
        Size of a voxel along each axis of the image, in any unit.

    Raises
    ------
    TrainingError
        If the numbers of axes do not fit together, or a spacing is not positive.
    """
    if len(spacing) != box.ndim or not 1 <= warped_ndim <= box.ndim or min(spacing) <= 0:
        raise TrainingError(
            f"a patch {box} with spacing {tuple(spacing)} cannot move along {warped_ndim} axes"
        )
    unit = np.asarray(spacing, float)[-warped_ndim:]
    motion = Motion.still(box)
    if rng.random() < augmentation.warp_share and augmentation.warps:
        where = _positions(box.shape[-warped_ndim:], augmentation, rng, unit)
        motion = Motion.along(box, where, order=augmentation.interpolation_order)
    if augmentation.flips:
        motion = motion.turned(*_draw_turn(box.shape, rng, unit))
    return motion


def vary_greys(
    image: np.ndarray, augmentation: Augmentation, rng: np.random.Generator
) -> np.ndarray:
    """Vary contrast, brightness, sharpness and noise of a normalised image.

    Parameters
    ----------
    image : ndarray of float32, (channel, *space)
    augmentation : Augmentation
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of float32, (channel, *space)
    """
    share = augmentation.grey_share
    if rng.random() < share:
        # Grey values may be negative, but powers of negative numbers are not real.
        power = np.float32(_factor(augmentation.gamma, rng))
        image = np.copysign(np.abs(image) ** power, image)
    if rng.random() < share:
        sigma = rng.uniform(0, augmentation.blur_voxels)
        image = ndimage.gaussian_filter(image, (0, *(sigma,) * (image.ndim - 1)), mode="mirror")
    if rng.random() < share:
        noise = rng.standard_normal(image.shape, np.float32)
        image = image + noise * np.float32(rng.uniform(0, augmentation.noise))
    # After the noise, so that dark and bright patches have the same ratio of contrast and noise.
    if rng.random() < share:
        image = image * np.float32(_factor(augmentation.gain, rng))
    if rng.random() < share:
        image = image + np.float32(rng.uniform(-augmentation.offset, augmentation.offset))
    return np.ascontiguousarray(image, np.float32)


def _positions(
    shape: Sequence[int], augmentation: Augmentation, rng: np.random.Generator, unit: np.ndarray
) -> np.ndarray:
    """Positions (axis, *shape), in voxels from the first one of the patch."""
    ndim = len(shape)
    matrix = np.eye(ndim) / _factor(augmentation.scale, rng)
    if augmentation.rotation and ndim > 1:
        # Objects keep their shape in physical space, not in voxels.
        matrix = matrix @ (_draw_rotation(rng, unit) * unit / unit[:, np.newaxis])
    shift = rng.uniform(-augmentation.shift_voxels, augmentation.shift_voxels, ndim)
    where = affine_positions(shape, matrix, shift)
    if augmentation.elastic_voxels > 0:
        coarse = (augmentation.elastic_points,) * ndim
        points = rng.normal(0, augmentation.elastic_voxels, (ndim, *coarse))
        points *= (unit.min() / unit).reshape(-1, *(1,) * ndim)
        where += elastic_displacement(shape, points)
    return where


def _draw_rotation(rng: np.random.Generator, unit: np.ndarray) -> np.ndarray:
    ndim = len(unit)
    if ndim > 2 and np.allclose(unit, unit[0]):
        # The Q of a QR decomposition of Gaussian numbers, with R's signs, is a uniform rotation.
        q, r = np.linalg.qr(rng.normal(size=(ndim, ndim)))
        q *= np.sign(np.diag(r))
        q[0] *= np.linalg.det(q)
        return np.asarray(q)
    angle = rng.uniform(0, 2 * math.pi)
    matrix = np.eye(ndim)
    cos, sin = math.cos(angle), math.sin(angle)
    matrix[-2:, -2:] = [[cos, -sin], [sin, cos]]
    return matrix


def _draw_turn(
    shape: Sequence[int], rng: np.random.Generator, unit: np.ndarray
) -> tuple[list[int], list[int]]:
    """A new order of the last axes, and those to mirror, counted from the end."""
    ndim = len(unit)
    kinds = [(n, round(float(u / unit.min()), 6)) for n, u in zip(shape[-ndim:], unit)]
    axes = list(range(-ndim, 0))
    for kind in sorted(set(kinds)):
        alike = [axis for axis in range(-ndim, 0) if kinds[axis] == kind]
        for axis, other in zip(alike, rng.permutation(alike)):
            axes[axis] = int(other)
    return axes, [axis for axis in range(-ndim, 0) if rng.random() < 0.5]


def _factor(limits: tuple[float, float], rng: np.random.Generator) -> float:
    """A factor between the limits, with a uniformly distributed logarithm."""
    return math.exp(rng.uniform(math.log(limits[0]), math.log(limits[1])))
