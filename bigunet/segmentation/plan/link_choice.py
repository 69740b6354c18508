"""Chooses along which axes objects are linked."""

from __future__ import annotations

from collections.abc import Sequence

from bigunet.errors import OptionError
from bigunet.objects.link_rule import LinkRule, links_of
from bigunet.segmentation.segment_options import SegmentOptions


def choose_links(
    options: SegmentOptions, *, axes: Sequence[str], ndim: int
) -> tuple[LinkRule, ...]:
    """The links of the options.

    Parameters
    ----------
    options : SegmentOptions
    axes : sequence of str
        Names of the axes of the output; the network sees the last ``ndim``.
    ndim : int

    Raises
    ------
    OptionError
        If there are no planes or no time points to link.
    """
    frames = axes[:-ndim]
    planes = [axis for axis in frames if axis != "t"]
    if options.link_planes is not None and ndim != 2:
        raise OptionError(
            f"link planes {options.link_planes}: the network is {ndim}D, so that its objects have "
            "all their planes; leave out --link-planes"
        )
    if options.link_planes is not None and not planes:
        other = "; for time points, give --link-time" if frames else ""
        raise OptionError(
            f"link planes {options.link_planes}: the image has the axes {', '.join(axes)}, and no "
            f"planes to link; leave out --link-planes{other}"
        )
    if options.link_time is not None and "t" not in frames:
        raise OptionError(
            f"link time {options.link_time}: the image has the axes {', '.join(axes)}, and no time "
            "points: leave out --link-time, or name the axes with --axes"
        )
    return links_of(len(frames), ndim, link_planes=options.link_planes, link_time=options.link_time)


def linked_ndim(options: SegmentOptions, ndim: int) -> int:
    """Axes of one object: those that the network sees, and that of planes that are linked."""
    return ndim if options.link_planes is None else ndim + 1
