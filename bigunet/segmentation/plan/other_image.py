"""Another image, from which a run takes its grey values."""

from __future__ import annotations

from bigunet.errors import ImageError
from bigunet.io.files.opening import open_image
from bigunet.io.images.channels import is_real, listed, named
from bigunet.io.images.multiscale import ImageDescription
from bigunet.segmentation.plan.segment_plan import SegmentPlan


def opened(other: str, axes: str) -> ImageDescription:
    """Another image; if it does not name its axes, they are those that the user states."""
    try:
        return open_image(other)
    except ImageError:
        if not axes:
            raise
        return open_image(other, axes=axes)


def channels_of(plan: SegmentPlan, other: ImageDescription) -> tuple[int, ...]:
    """Indices in another image of the channels that the plan reads, found by their names."""
    names = [plan.image.channel_names[k] for k in plan.channels]
    matches = [named(other.channel_names, name) if is_real(name) else [] for name in names]
    if all(len(indices) == 1 for indices in matches):
        return tuple(indices[0] for indices in matches)
    alike = other.num_channels == plan.image.num_channels
    if alike and not any(is_real(other.channel_names[k]) for k in plan.channels):
        return plan.channels
    raise ImageError(
        f"{other.url} has the channels {listed(other.channel_names)}, and it is unclear which of "
        "them to measure; give --grey-range LOW:HIGH"
    )
