"""What an object is: its class, its border, its least size, and which voxels are neighbours."""

from __future__ import annotations

from dataclasses import dataclass

from bigunet.errors import OptionError
from bigunet.objects.link_rule import LinkRule
from bigunet.objects.split_rule import SplitRule


@dataclass(frozen=True, slots=True)
class ObjectRule:
    """Which voxels of classes are one object.

    Parameters
    ----------
    object_class : int
        The class of the objects.
    border : int, optional
        The class that separates touching objects. Its voxels return to the nearest object within
        ``border_width``.
    border_width : int
        Width of the border on each side of an object, in voxels along each axis.
    smallest : int
        Objects with fewer voxels of their class are left out, after links.
    connectivity : int
        Which voxels are neighbours: 1 over faces, 2 over edges as well, 3 over corners as well; at
        most ``ndim``.
    ndim : int
        Axes of one object, 1 to 3: the last axes of the classes. Axes before them are frames, such
        as time points, or planes for a 2D network: objects never join across them.
    split : SplitRule, optional
        Where touching objects are split; by default they are not.
    links : tuple of LinkRule
        Along which axes of frames objects are linked, the innermost first; by default none.
    fill_holes : int
        Holes of at most so many voxels are filled before objects are labelled: see
        :mod:`bigunet.objects.holes`. 0 fills none.

    Raises
    ------
    OptionError
        If the border is the class of the objects, a number is out of its range, the rule for
        splitting has a spacing of other axes, or the axes of links are not those of frames.

    Examples
    --------
    >>> ObjectRule(1, border=2, ndim=3).connectivity
    1
    """

    object_class: int
    border: int | None = None
    border_width: int = 1
    smallest: int = 0
    connectivity: int = 1
    ndim: int = 2
    split: SplitRule | None = None
    links: tuple[LinkRule, ...] = ()
    fill_holes: int = 0

    def __post_init__(self) -> None:
        if self.object_class < 0 or (self.border is not None and self.border < 0):
            raise OptionError(
                f"object_class {self.object_class} and border {self.border} must be classes, "
                "0 or more"
            )
        if self.border == self.object_class:
            raise OptionError(
                f"border {self.border} is the class of the objects; give another class"
            )
        if self.border_width < 0 or self.smallest < 0:
            raise OptionError(
                f"border_width {self.border_width} and smallest {self.smallest} "
                "must be 0 or more voxels"
            )
        if self.fill_holes < 0:
            raise OptionError(f"fill_holes {self.fill_holes} must be 0 or more voxels")
        if not 1 <= self.ndim <= 3:
            raise OptionError(f"objects have {self.ndim} axes; give 1 to 3")
        if not 1 <= self.connectivity <= self.ndim:
            raise OptionError(
                f"connectivity {self.connectivity} for objects of {self.ndim} axes; "
                f"give 1 to {self.ndim}"
            )
        if self.split is not None:
            self.split.steps(self.ndim)
        axes = [link.axis for link in self.links]
        if axes != sorted(set(axes), reverse=True) or any(axis >= -self.ndim for axis in axes):
            raise OptionError(
                f"links along axes {axes} of objects of {self.ndim} axes; give axes of frames, "
                f"below {-self.ndim}, the innermost first"
            )
