"""Where touching objects are split: at necks, which are thin beside the parts that they join."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bigunet.errors import OptionError
from bigunet.geometry import Point


@dataclass(frozen=True, slots=True)
class SplitRule:
    """Where connected voxels of the object class are split into several objects.

    The depth of a voxel is its distance to the nearest voxel that is not of the class. A voxel is a
    seed where its depth is at least ``neck`` times the largest depth within ``reach`` steps in the
    object, or at most a voxel below it. Connected seed voxels are one seed, and each object has at
    least one. Every seed becomes an object: it gets the voxels of the class that are fewer steps
    from it than from any other seed. So two parts become two objects where what is between them is
    thinner than ``neck`` times the thicker part, and each is the deepest place, or nearly, within
    its reach.

    Parameters
    ----------
    neck : float
        Above 0, up to 1. A lower number splits less.
    radius : float
        Depths above are taken as this depth, in the unit of ``spacing``. More than this deep inside
        an object there is no neck.
    reach : int
        Steps from voxel to voxel. A part of an object becomes an object of its own only if no place
        within this reach is much deeper.
    merge : int
        Seeds with up to twice this many steps between them are one.
    spacing : tuple of float, optional
        Distance of neighbouring voxels along each axis of space; by default 1.

    Raises
    ------
    OptionError
        If a number is out of its range.

    Examples
    --------
    >>> SplitRule().halo(2)
    (33, 33)
    >>> SplitRule(radius=6, reach=6, spacing=(2, 0.5, 0.5)).halo(3)
    (10, 19, 19)
    """

    neck: float = 0.8
    radius: float = 16
    reach: int = 16
    merge: int = 2
    spacing: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if not 0 < self.neck <= 1:
            raise OptionError(f"neck {self.neck} must be above 0, and 1 at most")
        if not 0 < self.radius < math.inf:
            raise OptionError(f"radius {self.radius} must be above 0")
        if self.reach < 1 or self.merge < 0:
            raise OptionError(
                f"reach {self.reach} must be 1 step or more, and merge {self.merge} 0 or more"
            )
        if any(not 0 < step < math.inf for step in self.spacing or ()):
            raise OptionError(f"spacing {self.spacing} must be above 0 along every axis")

    def steps(self, ndim: int) -> tuple[float, ...]:
        """Distance of neighbouring voxels along each of the ``ndim`` axes of space.

        Raises
        ------
        OptionError
            If the spacing has another number of axes.
        """
        spacing = (1.0,) * ndim if self.spacing is None else self.spacing
        if len(spacing) != ndim:
            raise OptionError(f"spacing {spacing} for objects of {ndim} axes; give {ndim} numbers")
        return spacing

    def most_steps(self, ndim: int) -> int:
        """Steps within which each voxel of an object has a seed.

        A voxel that is no seed has one within ``reach`` steps that is deeper by more than a voxel,
        and by more than the neck allows. The deepest voxels are seeds.

        >>> SplitRule().most_steps(2)
        176
        """
        least = min(self.steps(ndim))
        depth, hops = least, 1
        while depth < self.radius:
            depth, hops = max(depth / self.neck, depth + least), hops + 1
        return hops * self.reach

    def halo(self, ndim: int) -> Point:
        """Voxels beyond each side of a voxel that decide whether it is a seed, per axis."""
        deep = (math.ceil(self.radius / step) for step in self.steps(ndim))
        return tuple(max(0, voxels - 1) + self.reach + self.merge for voxels in deep)
