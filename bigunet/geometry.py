"""Boxes: where something is, in voxels of one image level, in any number of dimensions.

::

    0   start            stop
    |   |<---- shape ---->|
    +---+=================+------> axis
        first voxel      one past the last voxel

All boxes of a run are in voxels of the level that is segmented, counted from its first voxel.
``box.within(outer)`` alone turns a box into indices of an array::

    outer    |-----------------------|     array holds outer
    box          |---------|               array[box.within(outer)] is the part for box
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bigunet.errors import GeometryError

Point = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Box:
    """A half-open box of voxels, ``start <= voxel < stop`` on every axis.

    A box may go beyond the image: a reader mirrors the image there.

    Parameters
    ----------
    start, stop : tuple of int
        First voxel, and the voxel after the last, per axis. A box may be empty.

    Raises
    ------
    GeometryError
        If the two differ in length or ``stop`` lies before ``start``.

    Examples
    --------
    >>> Box((0, 4), (10, 8)).shape
    (10, 4)
    """

    start: Point
    stop: Point

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", tuple(int(v) for v in self.start))
        object.__setattr__(self, "stop", tuple(int(v) for v in self.stop))
        if len(self.start) != len(self.stop):
            raise GeometryError(f"box start {self.start} and stop {self.stop} differ in length")
        if any(b < a for a, b in zip(self.start, self.stop)):
            raise GeometryError(f"box stops at {self.stop} before it starts at {self.start}")

    @classmethod
    def of_shape(cls, shape: Sequence[int]) -> Box:
        """The box of this shape at the origin."""
        return cls((0,) * len(shape), tuple(shape))

    @property
    def ndim(self) -> int:
        return len(self.start)

    @property
    def shape(self) -> Point:
        return tuple(b - a for a, b in zip(self.start, self.stop))

    @property
    def size(self) -> int:
        """Number of voxels."""
        return math.prod(self.shape)

    def contains(self, other: Box) -> bool:
        """Whether every voxel of ``other`` is in this box."""
        return other.size == 0 or all(
            a <= c and d <= b for a, b, c, d in zip(self.start, self.stop, other.start, other.stop)
        )

    def intersection(self, other: Box) -> Box:
        """The voxels that are in both boxes; an empty box if there are none."""
        start = tuple(max(a, b) for a, b in zip(self.start, other.start))
        stop = tuple(max(s, min(a, b)) for s, a, b in zip(start, self.stop, other.stop))
        return Box(start, stop)

    def hull(self, other: Box) -> Box:
        """The smallest box that contains both."""
        start = tuple(min(a, b) for a, b in zip(self.start, other.start))
        stop = tuple(max(a, b) for a, b in zip(self.stop, other.stop))
        return Box(start, stop)

    def grow(self, margin: Sequence[int]) -> Box:
        """This box with ``margin`` voxels more on both sides of each axis."""
        start = tuple(a - m for a, m in zip(self.start, margin))
        stop = tuple(b + m for b, m in zip(self.stop, margin))
        return Box(start, stop)

    def shift(self, by: Sequence[int]) -> Box:
        """This box moved by ``by`` voxels."""
        start = tuple(a + d for a, d in zip(self.start, by))
        stop = tuple(b + d for b, d in zip(self.stop, by))
        return Box(start, stop)

    def within(self, outer: Box) -> tuple[slice, ...]:
        """Slices that select this box in an array that holds ``outer``.

        Nothing else turns voxels of the level into indices of an array.

        Raises
        ------
        GeometryError
            If ``outer`` does not contain this box.
        """
        if self.ndim != outer.ndim or not all(
            a <= c <= d <= b for a, b, c, d in zip(outer.start, outer.stop, self.start, self.stop)
        ):
            raise GeometryError(f"{self} is not within {outer}")
        return tuple(slice(c - a, d - a) for a, c, d in zip(outer.start, self.start, self.stop))

    def __str__(self) -> str:
        return "[" + ", ".join(f"{a}:{b}" for a, b in zip(self.start, self.stop)) + "]"


def ceil_div(value: int, by: int) -> int:
    """``value / by`` rounded towards plus infinity, in integers."""
    return -(-value // by)


def round_up(value: int, step: int) -> int:
    """The smallest multiple of ``step`` that is not below ``value``."""
    return ceil_div(value, step) * step


def hull(boxes: Iterable[Box]) -> Box:
    """The smallest box that contains all ``boxes`` (at least one)."""
    first, *rest = boxes
    for box in rest:
        first = first.hull(box)
    return first
