"""Fixes the grey range of an image before its first block, so that no block has its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from bigunet.choices import NormalisationKind
from bigunet.errors import ImageError, OptionError
from bigunet.io.images.channels import is_real, listed, named
from bigunet.io.images.discovery import open_multiscale
from bigunet.io.images.intensity import Intensity, percentiles
from bigunet.io.images.multiscale import Multiscale
from bigunet.io.output.publish import read_provenance
from bigunet.io.stores.access import shown_url
from bigunet.model.inference.inputs import GreyRange
from bigunet.segmentation.plan.plan import SegmentPlan

Origin = Literal["image", "other image", "other output", "options", "model"]
# Measured beside the range: what tells whether it fits the image.
BULK = (1.0, 50.0, 98.0, 99.8)


@dataclass(frozen=True, slots=True)
class FixedNormalisation:
    """Grey values that become 0 and 1, and where they come from.

    Parameters
    ----------
    kind : {"percentile", "fixed"}
        Whether the values were measured as percentiles.
    low, high : float
        The percentiles, or the grey values where they are fixed (of the first channel).
    values : GreyRange
        Grey values of this image, one pair per channel that the model reads.
    origin : {"image", "other image", "other output", "options", "model"}
        Where the values come from: measured on this image or another one, read from an output of
        bigunet, given as an option, or part of the model.
    other : str
        The other image or output; empty where there is none.
    level : int or None
        Level on which percentiles were taken; None for fixed values.
    sampled : bool
        Whether percentiles are those of a sample of that level, not of all its voxels.
    left_out : tuple of float
        Per channel, the share of the voxels, 0 to 1, that say nothing and did not count.
    outliers : tuple of bool
        Per channel, whether a percentile was moved since it lay among a few extreme voxels.
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
        }


@dataclass(frozen=True, slots=True)
class Bulk:
    """Where most voxels of the image lie, per channel: percentiles 1, 50, 98 and 99.8."""

    channels: tuple[tuple[float, ...], ...]


def fix_normalisation(plan: SegmentPlan) -> tuple[FixedNormalisation, Bulk]:
    """The grey values of the plan's image that its model maps to 0 and 1.

    Percentiles are those of what is segmented: of the region, the mask and the stored chunks that
    the options name. :func:`bigunet.grey.range_rule.grey_values` says which of the voxels count.

    Returns
    -------
    FixedNormalisation
    Bulk
        Of what is segmented, whatever the range comes from.

    Raises
    ------
    ImageError
        If the image cannot be read, or no voxel of it counts.
    OptionError
        If the options name another image without the same channels.
    """
    quantiles, fixed = _wish(plan)
    seen = _measured(plan, quantiles)
    bulk = Bulk(tuple(channel.others for channel in seen.channels))
    if fixed is None:
        fixed = (
            _of_other(plan, quantiles)
            if plan.options.grey_range_of
            else _of_percentiles(quantiles, seen, "image")
        )
    # Padding is that of this image, wherever the range comes from.
    padding = tuple(channel.padding for channel in seen.channels)
    values = replace(fixed.values, padding=padding, fill=fixed.values.low if any(padding) else ())
    return replace(fixed, values=values), bulk


def _wish(plan: SegmentPlan) -> tuple[tuple[float, ...], FixedNormalisation | None]:
    """The percentiles to measure, or the values where they are fixed."""
    options, wanted = plan.options, plan.model.description.normalisation
    number = len(plan.channels)
    if options.grey_range:
        pairs = options.grey_range * (number if len(options.grey_range) == 1 else 1)
        return (), _fixed(pairs, "options")
    if options.percentiles:
        return tuple(options.percentiles), None
    if wanted.kind == "fixed" and not options.grey_range_of:
        return (), _fixed(((wanted.low, wanted.high),) * number, "model")
    usual = wanted if wanted.kind == "percentile" else type(wanted)()
    return (usual.low, usual.high), None


def _fixed(pairs: Sequence[tuple[float, float]], origin: Origin) -> FixedNormalisation:
    values = GreyRange(tuple(low for low, _ in pairs), tuple(high for _, high in pairs))
    return FixedNormalisation("fixed", *pairs[0], values, origin)


def _measured(plan: SegmentPlan, quantiles: tuple[float, ...]) -> Intensity:
    """Of what is segmented."""
    return percentiles(
        plan.image,
        quantiles,
        channels=plan.channels,
        region=(plan.level, plan.region),
        others=BULK,
        chosen=plan.wanted_on if plan.wanted.parts else None,
    )


def _of_percentiles(
    quantiles: tuple[float, ...], found: Intensity, origin: Origin, other: str = ""
) -> FixedNormalisation:
    low = tuple(channel.values[0] for channel in found.channels)
    high = tuple(b if b > a else _above(a) for a, b, *_ in found.values)
    return FixedNormalisation(
        "percentile",
        quantiles[0],
        quantiles[1],
        GreyRange(
            low,
            high,
            tuple(channel.least for channel in found.channels),
            tuple(channel.greatest for channel in found.channels),
        ),
        origin,
        other=other,
        level=found.level,
        sampled=found.sampled,
        left_out=tuple(channel.left_out for channel in found.channels),
        outliers=tuple(channel.outliers for channel in found.channels),
    )


def _above(value: float) -> float:
    """A high end for an even channel, which becomes 0 everywhere rather than infinite.

    One more, unless the value is so large that a float does not change by it.
    """
    if value + 1 > value:
        return value + 1
    return value / 2 if value < 0 or math.isinf(2 * value) else 2 * value


def _of_other(plan: SegmentPlan, quantiles: tuple[float, ...]) -> FixedNormalisation:
    """Measured on another image, or taken from an output."""
    other = plan.options.grey_range_of
    made = read_provenance(other)
    if made and plan.options.percentiles:
        raise OptionError(
            f"{shown_url(other)} is an output, the grey range of which is taken as it is: give no "
            "percentiles, or give its image"
        )
    if made:
        return _of_output(plan, made["normalisation"], shown_url(other))
    image = _opened(other, plan.options.axes)
    found = percentiles(image, quantiles, channels=_channels_of(plan, image))
    return _of_percentiles(quantiles, found, "other image", shown_url(image.url))


def _opened(other: str, axes: str) -> Multiscale:
    """Another image, with the axes that the user states if it names none itself."""
    try:
        return open_multiscale(other)
    except ImageError:
        if not axes:
            raise
        return open_multiscale(other, axes=axes)


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


def _channels_of(plan: SegmentPlan, other: Multiscale) -> tuple[int, ...]:
    """The channels of another image that are those which the plan reads."""
    names = [plan.image.channel_names[k] for k in plan.channels]
    matches = [named(other.channel_names, name) if is_real(name) else [] for name in names]
    if all(len(found) == 1 for found in matches):
        return tuple(found[0] for found in matches)
    alike = other.num_channels == plan.image.num_channels
    if alike and not any(is_real(other.channel_names[k]) for k in plan.channels):
        return plan.channels
    raise ImageError(
        f"{other.url} has the channels {listed(other.channel_names)}, and it is unclear which of "
        "them to measure; give --grey-range LOW:HIGH"
    )
