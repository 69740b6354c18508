"""Augmentation: the variations of a patch under which its segmentation must not change.

How far a patch moves and how its greys change is drawn here; ``motion`` moves it, ``patches``
says where it lies. Everything is drawn from the generator that is passed in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any

import numpy as np
from scipy import ndimage

from bigunet.errors import TrainingError
from bigunet.geometry import Box
from bigunet.training.interpolation import InterpolationOrder
from bigunet.training.motion import Motion, affine_positions, elastic_displacement


def _numbers(name: str, value: Any) -> tuple[float, ...]:
    """The numbers of a pair.

    Raises
    ------
    TrainingError
        If it is no sequence of numbers.
    """
    numbers = tuple(value) if isinstance(value, Sequence) else (value,)
    for number in numbers:
        _check_number(name, number, value)
    return numbers


def _check_number(name: str, number: Any, value: Any) -> None:
    if isinstance(number, bool) or not isinstance(number, Real):
        raise TrainingError(f"{name} is {value}; give numbers")


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How far patches are varied. The elastic deformation is that of the paper.

    Parameters
    ----------
    flips : bool
        Mirror along each axis, and exchange axes that are equally long and of equal spacing: in
        the plane, all turns by 90 degrees.
    warp_share : float
        Share of the patches that are turned, scaled, shifted and deformed.
    rotation : bool
        Turn by any angle: about all axes where voxels are as long as wide, in the plane of the
        last two otherwise.
    scale : tuple of float
        Smallest and largest magnification, halving as likely as doubling.
    shift_voxels : float
        Largest shift along each axis, so that voxels are not always seen at their centres.
    elastic_voxels : float
        Standard deviation of the displacement vectors, in units of the smallest side of a voxel.
    elastic_points : int
        Vectors along each side of the patch; between them, displacement is bicubic.
    interpolation_order : {1, 3}
        Linear or cubic.
    grey_share : float
        Share of the patches to which each change of the grey values is applied.
    gain, gamma : tuple of float
        Smallest and largest factor and exponent, halving as likely as doubling.
    offset, noise, blur_voxels : float
        Largest offset, standard deviation of noise, and sigma of the Gaussian blur; of an image
        that is normalised to 0 to 1.

    Raises
    ------
    TrainingError
        If a number is out of its range.

    References
    ----------
    Ronneberger, Fischer, Brox: U-Net, MICCAI 2015, doi:10.1007/978-3-319-24574-4_28, section 3.1.
    """

    flips: bool = True
    warp_share: float = 0.8
    rotation: bool = True
    scale: tuple[float, float] = (0.8, 1.25)
    shift_voxels: float = 0.5
    elastic_voxels: float = 10.0
    elastic_points: int = 3
    interpolation_order: InterpolationOrder = 3
    grey_share: float = 0.5
    gain: tuple[float, float] = (0.7, 1.4)
    gamma: tuple[float, float] = (0.7, 1.4)
    offset: float = 0.1
    noise: float = 0.05
    blur_voxels: float = 1.0

    def __post_init__(self) -> None:
        for name in ("flips", "rotation"):
            if not isinstance(getattr(self, name), bool):
                raise TrainingError(f"{name} is {getattr(self, name)}; give true or false")
        for name in ("scale", "gain", "gamma"):
            limits = _numbers(name, getattr(self, name))
            if len(limits) != 2 or not 0 < limits[0] <= limits[1] < math.inf:
                raise TrainingError(f"{name} is {limits}; give 0 < smallest <= largest")
            object.__setattr__(self, name, limits)
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(field.default, (int, float)) and not isinstance(field.default, bool):
                _check_number(field.name, value, value)
        for name in ("warp_share", "grey_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise TrainingError(f"{name} is {getattr(self, name)}; give a share from 0 to 1")
        for name in ("shift_voxels", "elastic_voxels", "offset", "noise", "blur_voxels"):
            if not 0 <= getattr(self, name) < math.inf:
                raise TrainingError(f"{name} is {getattr(self, name)}; give 0 or more")
        if not isinstance(self.elastic_points, int) or self.elastic_points < 2:
            raise TrainingError(
                f"elastic_points is {self.elastic_points}; give whole ones, 2 or more"
            )
        if self.interpolation_order not in (1, 3):
            raise TrainingError(
                f"interpolation_order is {self.interpolation_order}; give 1 (linear) or 3 (cubic)"
            )

    @property
    def warps(self) -> bool:
        """Whether a patch that is warped can differ from one that is not."""
        limits = (self.shift_voxels, self.elastic_voxels)
        return self.rotation or any(limits) or self.scale != (1, 1)

    @classmethod
    def from_dict(cls, numbers: Mapping[str, Any]) -> Augmentation:
        """The augmentation whose fields were written as JSON; those left out have their defaults.

        Raises
        ------
        TrainingError
            If there is no such field, or a number is out of its range.
        """
        known = [field.name for field in fields(cls)]
        unknown = [name for name in numbers if name not in known]
        if unknown:
            raise TrainingError(
                f"augmentation has no {', '.join(unknown)}; known: {', '.join(known)}"
            )
        return cls(**numbers)


NO_AUGMENTATION = Augmentation(flips=False, warp_share=0.0, grey_share=0.0)


def draw_motion(
    box: Box,
    augmentation: Augmentation,
    rng: np.random.Generator,
    *,
    warped_ndim: int,
    spacing: Sequence[float],
) -> Motion:
    """How the patch at ``box`` is turned, scaled, shifted, deformed and mirrored.

    Parameters
    ----------
    box : Box
        In voxels of the image, of all its axes; may leave the image.
    augmentation : Augmentation
    rng : numpy.random.Generator
    warped_ndim : int
        The last axes, 2 or 3, that may move; ``box`` has 1 voxel along the others.
    spacing : sequence of float
        Size of a voxel along each axis of the image, in any unit.

    Raises
    ------
    TrainingError
        If axes and spacing do not fit together.
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
        # Values are unbounded on both sides, and a power is defined on one only.
        power = np.float32(_factor(augmentation.gamma, rng))
        image = np.copysign(np.abs(image) ** power, image)
    if rng.random() < share:
        sigma = rng.uniform(0, augmentation.blur_voxels)
        image = ndimage.gaussian_filter(image, (0, *(sigma,) * (image.ndim - 1)), mode="mirror")
    if rng.random() < share:
        noise = rng.standard_normal(image.shape, np.float32)
        image = image + noise * np.float32(rng.uniform(0, augmentation.noise))
    # Last, so that dark patches are as noisy for their contrast as bright ones.
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
        # Shapes are kept in space, not in voxels.
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
        # Householder's Q of Gaussian numbers, with R's signs, is any rotation alike.
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
    """A factor between the limits, even on the logarithm."""
    return math.exp(rng.uniform(math.log(limits[0]), math.log(limits[1])))
