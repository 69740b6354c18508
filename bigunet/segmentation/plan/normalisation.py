"""Fixes the grey range of an image before its first block, so that no block has its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from bigunet.errors import OptionError
from bigunet.geometry import Box
from bigunet.io.files.opening import open_level
from bigunet.io.images.all_voxels import AllVoxels
from bigunet.io.images.intensity import Intensity, OpenLevel, percentiles_of_levels
from bigunet.io.images.multiscale import ImageDescription
from bigunet.io.output.publish import read_provenance
from bigunet.model.inference.inputs import GreyRange
from bigunet.model.steps import needs_image
from bigunet.options.choices import NormalisationKind
from bigunet.segmentation.plan.other_image import channels_of, opened
from bigunet.segmentation.plan.pointwise import grey_range_of
from bigunet.segmentation.plan.segment_plan import SegmentPlan
from bigunet.segmentation.plan.whole_image import MEAN, described_steps, measured_steps
from bigunet.stores.access import shown_url

Origin = Literal["image", "other image", "other output", "options", "model"]
# Percentiles that are measured in addition, to check whether the grey range fits the image.
BULK = (1.0, 50.0, 98.0, 99.8)


@dataclass(frozen=True, slots=True)
class FixedNormalisation:
    """The grey values that become 0 and 1, and their origin.

    Parameters
    ----------
    kind : {"percentile", "fixed", "steps"}
        Whether the values were measured as percentiles, or as the steps of the model say.
    low, high : float
        The percentiles; for other kinds, the grey values of the first channel.
    values : GreyRange
        Grey values that become 0 and 1, a pair for each channel that the model reads.
    origin : {"image", "other image", "other output", "options", "model"}
        Measured on this image or another one, read from an output of bigunet, given as an option,
        or part of the model.
    other : str
        Address of the other image or output; empty for other origins.
    level : int or None
        Level on which the percentiles were measured; None for fixed values.
    sampled : bool
        Whether the percentiles were measured on a sample of that level.
    left_out : tuple of float
        Per channel, the share of the voxels that did not count, such as padding; 0 to 1.
    outliers : tuple of bool
        Per channel, whether a percentile was moved because it lay among a few extreme voxels.
    statistics : str
        What the steps of the model measured, in words; empty for other kinds.
    """

    kind: NormalisationKind
    low: float
    high: float
    values: GreyRange
    origin: Origin
    other: str = ""
    level: int | None = None
    sampled: bool = False
    left_out: tuple[float, ...] = ()
    outliers: tuple[bool, ...] = ()
    statistics: str = ""

    @property
    def is_standardised(self) -> bool:
        """Whether the range is one deviation, from the mean on."""
        return self.statistics.startswith(MEAN)

    @property
    def shown(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Grey values that pictures show as black and as white, for each channel.

        They are the ends of the range, or where that is one deviation, a few around the mean.
        """
        low, high = self.values.low, self.values.high
        if not self.is_standardised:
            return low, high
        ends = list(zip(low, high))
        return tuple(2 * a - b for a, b in ends), tuple(4 * b - 3 * a for a, b in ends)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "kind": self.kind,
            "low": self.low,
            "high": self.high,
            "values_low": list(self.values.low),
            "values_high": list(self.values.high),
            "least": list(self.values.least),
            "greatest": list(self.values.greatest),
            "padding": [list(values) for values in self.values.padding],
            "fill": list(self.values.fill),
            "origin": self.origin,
            "other": self.other or None,
            "level": self.level,
            "sampled": self.sampled,
            "left_out": list(self.left_out),
            "outliers": list(self.outliers),
            **({"statistics": self.statistics} if self.statistics else {}),
        }


@dataclass(frozen=True, slots=True)
class Bulk:
    """The grey values of most voxels of the image.

    Parameters
    ----------
    channels : tuple of (float, float, float, float)
        Percentiles 1, 50, 98 and 99.8 of each channel.
    """

    channels: tuple[tuple[float, ...], ...]


def fix_normalisation(plan: SegmentPlan) -> tuple[FixedNormalisation, Bulk]:
    """Fix the grey values that become 0 and 1.

    Percentiles are measured on the voxels that are segmented: those of the region, the mask and the
    stored chunks. :func:`bigunet.grey.range_rule.grey_values` says which of these voxels count.

    Returns
    -------
    FixedNormalisation
    Bulk
        Measured on the voxels that are segmented, whatever the origin of the grey range.

    Raises
    ------
    ImageError
        If the image cannot be read, or no voxel of it counts.
    OptionError
        If the options name another image without the same channels.
    """
    quantiles, fixed = _asked_range(plan)
    seen = _measured(plan, quantiles)
    bulk = Bulk(tuple(channel.others for channel in seen.channels))
    if fixed is None:
        fixed = (
            _of_other(plan, quantiles)
            if plan.options.grey_range_of
            else _of_percentiles(quantiles, seen, "image")
        )
    if fixed.kind == "steps":
        return fixed, bulk
    # The padding is always that of this image.
    padding = tuple(channel.padding for channel in seen.channels)
    values = replace(fixed.values, padding=padding, fill=fixed.values.low if any(padding) else ())
    return replace(fixed, values=values), bulk


def _asked_range(plan: SegmentPlan) -> tuple[tuple[float, ...], FixedNormalisation | None]:
    """The percentiles that options or model ask for, or their fixed values."""
    options, usual = plan.options, plan.model.description.normalisation
    number = len(plan.channels)
    if options.grey_range:
        pairs = options.grey_range * (number if len(options.grey_range) == 1 else 1)
        return (), _fixed(pairs, "options")
    if options.percentiles:
        return tuple(options.percentiles), None
    if usual.kind == "steps" and not options.grey_range_of:
        reader = open_level(plan.image, level=plan.level, channels=plan.channels)
        chosen = plan.selection if plan.selection.parts else None
        return (), _of_steps(plan, AllVoxels(reader, plan.region, chosen), plan.level)
    if usual.kind == "fixed" and not options.grey_range_of:
        return (), _fixed(((usual.low, usual.high),) * number, "model")
    usual = usual if usual.kind == "percentile" else type(usual)()
    return (usual.low, usual.high), None


def _fixed(pairs: Sequence[tuple[float, float]], origin: Origin) -> FixedNormalisation:
    values = GreyRange(tuple(low for low, _ in pairs), tuple(high for _, high in pairs))
    return FixedNormalisation("fixed", *pairs[0], values, origin)


def _of_steps(plan: SegmentPlan, voxels: AllVoxels, level: int) -> FixedNormalisation:
    """The grey values that the model's steps give, with the statistics of an image."""
    steps = plan.model.description.normalisation.steps
    values = grey_range_of(measured_steps(steps, voxels))
    return FixedNormalisation(
        "steps",
        values.low[0],
        values.high[0],
        values,
        "image" if needs_image(steps) else "model",
        level=level if needs_image(steps) else None,
        statistics=described_steps(steps, voxels, level),
    )


def _measured(plan: SegmentPlan, quantiles: tuple[float, ...]) -> Intensity:
    """Measure percentiles of the voxels that are segmented."""
    return percentiles_of_levels(
        plan.image,
        _levels_of(plan.image),
        quantiles,
        channels=plan.channels,
        region=(plan.level, plan.region),
        others=BULK,
        chosen=plan.selection_on if plan.selection.parts else None,
    )


def _of_percentiles(
    quantiles: tuple[float, ...], intensity: Intensity, origin: Origin, other: str = ""
) -> FixedNormalisation:
    low = tuple(channel.values[0] for channel in intensity.channels)
    high = tuple(b if b > a else _above(a) for a, b, *_ in intensity.values)
    return FixedNormalisation(
        "percentile",
        quantiles[0],
        quantiles[1],
        GreyRange(
            low,
            high,
            tuple(channel.least for channel in intensity.channels),
            tuple(channel.greatest for channel in intensity.channels),
        ),
        origin,
        other=other,
        level=intensity.level,
        sampled=intensity.sampled,
        left_out=tuple(channel.left_out for channel in intensity.channels),
        outliers=tuple(channel.outliers for channel in intensity.channels),
    )


def _above(value: float) -> float:
    """A high end for a channel with one grey value only, so that this value becomes 0.

    It is the value plus one. If a float of this size does not change by one, it is twice the value.
    """
    if value + 1 > value:
        return value + 1
    return value / 2 if value < 0 or math.isinf(2 * value) else 2 * value


def _of_other(plan: SegmentPlan, quantiles: tuple[float, ...]) -> FixedNormalisation:
    """The grey range that is measured on another image, or read from an output."""
    other = plan.options.grey_range_of
    made = read_provenance(other)
    if made and plan.options.percentiles:
        raise OptionError(
            f"{shown_url(other)} is an output, the grey range of which is taken as it is: give no "
            "percentiles, or give its image"
        )
    if made:
        return _of_output(plan, made["normalisation"], shown_url(other))
    image = opened(other, plan.options.axes)
    if "z" in image.volume_axes:
        image = replace(image, slice_axis=plan.image.slice_axis)
    channels = channels_of(plan, image)
    if plan.model.description.normalisation.kind == "steps" and not plan.options.percentiles:
        whole = Box.of_shape(image.volume_shape(0))
        reader = open_level(image, level=0, channels=channels)
        there = _of_steps(plan, AllVoxels(reader, whole), 0)
        return replace(there, origin="other image", other=shown_url(image.url))
    intensity = percentiles_of_levels(image, _levels_of(image), quantiles, channels=channels)
    return _of_percentiles(quantiles, intensity, "other image", shown_url(image.url))


def _levels_of(image: ImageDescription) -> OpenLevel:
    return lambda level, channels: open_level(image, level=level, channels=channels)


def _of_output(plan: SegmentPlan, made: dict[str, Any], other: str) -> FixedNormalisation:
    low, high = tuple(made["values_low"]), tuple(made["values_high"])
    if len(low) != len(plan.channels):
        raise OptionError(
            f"{other} was made of {len(low)} channel(s), this run reads {len(plan.channels)}; "
            "give --grey-range"
        )
    values = GreyRange(low, high, tuple(made.get("least", ())), tuple(made.get("greatest", ())))
    return FixedNormalisation(
        made["kind"], made["low"], made["high"], values, "other output", other=other
    )
