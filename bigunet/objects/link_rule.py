"""Which objects of neighbouring frames are one object: those that overlap most, mutually."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from bigunet.errors import OptionError

Threshold = float | str | Decimal | Fraction
"""A number as the user gave it."""

_MOST = 10**18
"""Highest denominator of a threshold: it is compared with products of two 64-bit numbers."""


@dataclass(frozen=True, slots=True)
class LinkRule:
    """Objects of neighbouring frames along one axis are linked from an IoU on.

    The IoU of two objects is their overlap, if one frame is laid on the other, divided by the
    voxels of both together. Two objects are linked if each is the best partner of the other in its
    frame, and their IoU is at least ``least``. The best partner has the highest IoU; where
    several are equal, it is the one with the lowest id. Chains of links become one object.

    Parameters
    ----------
    axis : int
        An axis of frames, counted from the last axis, such as -3 for the planes of 2D objects.
    least : str
        Above 0, up to 1: a decimal number or a ratio. It is kept as a ratio, such as ``3/10``.

    Raises
    ------
    OptionError
        If the threshold is out of its range, or the axis is not counted from the last.

    Examples
    --------
    >>> LinkRule(-3, "0.30").least
    '3/10'
    """

    axis: int
    least: str

    def __post_init__(self) -> None:
        if self.axis >= 0:
            raise OptionError(f"axis {self.axis} of a link must be counted from the last: below 0")
        ratio = _ratio(self.least)
        if not 0 < ratio <= 1:
            raise OptionError(f"link threshold {self.least} must be above 0, and 1 at most")
        if ratio.denominator > _MOST:
            raise OptionError(
                f"link threshold {self.least} is too fine; give a number of at most 18 decimals"
            )
        object.__setattr__(self, "least", str(ratio))

    @property
    def ratio(self) -> Fraction:
        return Fraction(self.least)


def links_of(
    num_frame_axes: int,
    ndim: int,
    *,
    link_planes: Threshold | None = None,
    link_time: Threshold | None = None,
) -> tuple[LinkRule, ...]:
    """The links of objects over planes, and then over time.

    Parameters
    ----------
    num_frame_axes : int
        Axes before those of an object: time, then planes.
    ndim : int
        Axes of one object before links.
    link_planes : float, optional
        Least IoU of objects in neighbouring planes: the last axis of frames.
    link_time : float, optional
        Least IoU of objects at neighbouring time points: the first axis of frames.

    Raises
    ------
    OptionError
        If a number is no number above 0 and up to 1, or there is no axis to link along.

    Examples
    --------
    >>> [link.axis for link in links_of(2, 2, link_planes=0.5, link_time="0.1")]
    [-3, -4]
    """
    links = []
    num_planes_axes = 0 if link_planes is None else 1
    if link_planes is not None:
        if ndim != 2 or num_frame_axes < 1:
            raise OptionError(
                f"link_planes links 2D objects of the planes of volumes; there are "
                f"{num_frame_axes} axes of frames, and objects of {ndim} axes: leave it out"
            )
        links.append(LinkRule(-3, _exact("link_planes", link_planes)))
    if link_time is not None:
        most = 2 if ndim == 2 else 1
        if not 1 + num_planes_axes <= num_frame_axes <= most:
            raise OptionError(
                f"link_time needs axes t, y, x or t, z, y, x; there are {num_frame_axes} axes of "
                f"frames{' with the planes' if num_planes_axes else ''}, and objects of {ndim} "
                "axes: leave it out"
            )
        links.append(LinkRule(-ndim - num_frame_axes, _exact("link_time", link_time)))
    return tuple(links)


def _exact(name: str, value: Threshold) -> str:
    """The decimal number that was given, and not the binary number nearest to it."""
    if not 0 < _ratio(str(value)) <= 1:
        raise OptionError(f"{name} {value} must be a number above 0, and 1 at most")
    return str(value)


def _ratio(text: str) -> Fraction:
    """The ratio, or 0 if the text is no number."""
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        return Fraction(0)
