"""Checks whether image, grey range and model fit one another.

The checks give numbers for the report, and a warning for each thing that does not fit, with the
values and the remedy. They change no result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bigunet.io.images.units import scale_um
from bigunet.model.model import Model
from bigunet.segmentation.plan.normalisation import Bulk, FixedNormalisation
from bigunet.segmentation.plan.segment_plan import SegmentPlan
from bigunet.segmentation.plan.voxel_size import size_factors

# A network still recognises objects that are larger or smaller by this factor.
_SAME_SIZE = 1.5
# A grey range is too wide if 98 % of the voxels lie in this share of it.
_NARROW = 0.05
# A grey range is doubtful if it is this many times wider or narrower than that of the voxels.
_UNLIKE = 10.0
# Distance, as a share of the range, that a median may have from those of the training images.
_MEDIAN_MARGIN = 0.25


@dataclass(frozen=True, slots=True)
class Fit:
    """The numbers and warnings of the checks.

    Parameters
    ----------
    voxel_size_um, model_voxel_size_um : tuple of float, or None
        Size of a voxel along the network's axes; None if image or model state none.
    best_level : int or None
        The level with a voxel size nearest to the model's.
    medians : tuple of float
        Per channel, the position of the median in the grey range: 0 is its low end, 1 its high end.
    warnings : tuple of str
        One line for each thing that does not fit.
    """

    voxel_size_um: tuple[float, ...] | None
    model_voxel_size_um: tuple[float, ...] | None
    best_level: int | None
    medians: tuple[float, ...]
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, without the warnings: the report lists these separately."""
        sizes = self.voxel_size_um, self.model_voxel_size_um
        own, models = (None if size is None else list(size) for size in sizes)
        return {
            "voxel_size_um": own,
            "model_voxel_size_um": models,
            "best_level": self.best_level,
            "medians": [round(median, 4) for median in self.medians],
        }


def check_fit(plan: SegmentPlan, normalisation: FixedNormalisation, bulk: Bulk) -> Fit:
    """Compare voxel size and grey values of an image with those of the model's training images."""
    model_size = plan.model.description.voxel_size_um
    levels = size_factors(plan.image, plan.model)
    size = scale_um(plan.image, plan.level)
    ranges = list(zip(normalisation.values.low, normalisation.values.high, bulk.channels))
    return Fit(
        voxel_size_um=None if size is None else size[-plan.network_axes :],
        model_voxel_size_um=model_size,
        best_level=min(levels, key=lambda k: levels[k]) if levels else None,
        medians=tuple(share_of(values[1], low, high) for low, high, values in ranges),
        warnings=(
            *(() if plan.exact else (f"the labels are {plan.method}",)),
            *_size_warnings(plan, levels),
            *_assumptions(plan, normalisation),
            *_grey_warnings(plan, normalisation, bulk),
        ),
    )


def _assumptions(plan: SegmentPlan, normalisation: FixedNormalisation) -> list[str]:
    """A warning if the grey values are prepared as nobody stated."""
    options = plan.options
    stated = options.grey_range or options.percentiles or options.grey_range_of
    if stated or "normalisation" not in plan.model.assumed:
        return []
    return [
        f"model {plan.model.description.name!r} does not say how grey values become its inputs: "
        f"percentiles {normalisation.low:g} and {normalisation.high:g} are taken as 0 and 1; if it "
        "was trained otherwise, give --grey-range or --percentiles"
    ]


def _size_warnings(plan: SegmentPlan, levels: dict[int, float]) -> list[str]:
    if not levels:
        return _plane_warnings(plan)
    if levels[plan.level] <= _SAME_SIZE:
        return []
    best = min(levels, key=lambda k: levels[k])
    size, model_size = scale_um(plan.image, plan.level), plan.model.description.voxel_size_um
    mismatch = (
        f"voxels of level {plan.level} are {_size(size, plan.network_axes)}, those that model "
        f"{plan.model.description.name!r} was trained on {_size(model_size, plan.network_axes)}: "
    )
    if best == plan.level:
        return [mismatch + "no level is nearer, so objects may be missed; resample the image"]
    remedy = f"give --level {best}, or --level auto"
    if levels[best] > _SAME_SIZE:
        return [mismatch + f"level {best} is nearer, and still not the same size; {remedy}"]
    return [mismatch + f"level {best} fits; {remedy}"]


def _plane_warnings(plan: SegmentPlan) -> list[str]:
    """A warning if planes across y or x have long voxels, and the model does not say its size."""
    size, across = scale_um(plan.image, plan.level), plan.options.slice_axis
    plane = (size or ())[-plan.network_axes :]
    if across == "z" or max(plane, default=0.0) <= _SAME_SIZE * min(plane, default=0.0):
        return []
    return [
        f"voxels of the planes across {across} are {_size(size, plan.network_axes)}; if model "
        f"{plan.model.description.name!r} was trained on square ones, objects may be missed: "
        "resample the image"
    ]


def _size(size: tuple[float, ...] | None, ndim: int) -> str:
    return " × ".join(f"{value:.3g}" for value in (size or ())[-ndim:]) + " µm"


def _grey_warnings(plan: SegmentPlan, normalisation: FixedNormalisation, bulk: Bulk) -> list[str]:
    warnings = []
    values = normalisation.values
    for channel, low, high, seen in zip(plan.channels, values.low, values.high, bulk.channels):
        name = plan.image.channel_names[channel]
        label = f"channel {channel}" + (f" {name!r}" if name and name != str(channel) else "")
        line = _range_warning(label, low, high, seen, normalisation) or _median_warning(
            label, plan.model, low, high, seen
        )
        warnings += [line] if line else []
    return warnings


def _range_warning(
    label: str, low: float, high: float, seen: tuple[float, ...], made: FixedNormalisation
) -> str:
    """A warning if the grey range is far wider than the values of the voxels, or elsewhere."""
    if made.kind == "steps" and made.origin == "image":
        return ""
    least, _, most, greatest = seen
    if least == greatest and made.kind == "percentile" and made.origin == "image":
        return (
            f"{label} holds almost nothing but the grey value {least:g}, so there is no grey range "
            "to measure; give --grey-range LOW:HIGH"
        )
    if made.origin == "image":
        if abs(share_of(most, low, high)) < _NARROW:
            return (
                f"98 % of the voxels of {label} lie in the lowest {_NARROW:.0%} of the grey range "
                f"{low:g} to {high:g}; if objects are missed, give --grey-range LOW:HIGH"
            )
        return ""
    span, own = abs(high - low), greatest - least
    outside = max(least, min(low, high)) >= min(greatest, max(low, high))
    if outside or not span / _UNLIKE <= own <= span * _UNLIKE:
        return (
            f"the grey range {low:g} to {high:g} ({made.origin}) is far from the voxels of "
            f"{label}, most of which lie in {least:g} to {greatest:g}; give --grey-range LOW:HIGH"
        )
    return ""


def _median_warning(
    label: str, model: Model, low: float, high: float, seen: tuple[float, ...]
) -> str:
    """A warning if the image is much brighter or darker than the training images."""
    usual = model.description.grey_median
    median = share_of(seen[1], low, high)
    if usual is None:
        return ""
    brighter = is_brighter(model, low, high, seen)
    if not brighter and median >= usual[0] - _MEDIAN_MARGIN:
        return ""
    kind = "brighter" if brighter else "darker"
    return (
        f"{label} is {kind} than the images that model {model.description.name!r} was trained on "
        f"(median at {median:.2f} of the grey range, there {usual[0]:.2f} to {usual[1]:.2f}), "
        "so its labels may be wrong, as with another stain; if only bright and dark are swapped, "
        f"give --grey-range {high:g}:{low:g}"
    )


def is_brighter(model: Model, low: float, high: float, seen: tuple[float, ...]) -> bool:
    """Whether a channel is much brighter than the training images, if the model states them.

    Parameters
    ----------
    model : Model
    low, high : float
        The grey range.
    seen : tuple of float
        Of the channel, as `Bulk` has it: its second number is the median.
    """
    usual = model.description.grey_median
    return usual is not None and share_of(seen[1], low, high) > usual[1] + _MEDIAN_MARGIN


def share_of(value: float, low: float, high: float) -> float:
    """Position of a value in a range: 0 is its low end, 1 its high end."""
    return (value - low) / (high - low)
