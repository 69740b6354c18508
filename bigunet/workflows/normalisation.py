"""Fixes the normalisation of an image before its first block, so that no block has its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bigunet.io.intensity import percentiles
from bigunet.model.description import NormalisationKind
from bigunet.model.forward import GreyRange
from bigunet.workflows.plan import SegmentPlan


@dataclass(frozen=True, slots=True)
class FixedNormalisation:
    """Grey values that become 0 and 1, and where they come from.

    Parameters
    ----------
    kind : {"percentile", "fixed"}
        As the model wishes it.
    low, high : float
        The model's percentiles or grey values.
    values : GreyRange
        Grey values of this image, one pair per channel that the model reads.
    level : int or None
        Level on which percentiles were taken; None for fixed values.
    sampled : bool
        Whether percentiles are those of a sample of that level, not of all its voxels.
    """

    kind: NormalisationKind
    low: float
    high: float
    values: GreyRange
    level: int | None = None
    sampled: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "kind": self.kind,
            "low": self.low,
            "high": self.high,
            "values_low": list(self.values.low),
            "values_high": list(self.values.high),
            "level": self.level,
            "sampled": self.sampled,
        }


def fix_normalisation(plan: SegmentPlan) -> FixedNormalisation:
    """The grey values of the plan's image that its model maps to 0 and 1.

    Percentiles are those of the whole image, whatever region of it is segmented.

    Raises
    ------
    ImageError
        If percentiles are needed and the image cannot be read or has no finite voxel.
    """
    wanted = plan.model.description.normalisation
    num_channels = len(plan.channels)
    if wanted.kind == "fixed":
        values = GreyRange((wanted.low,) * num_channels, (wanted.high,) * num_channels)
        return FixedNormalisation("fixed", wanted.low, wanted.high, values)
    found = percentiles(plan.image, (wanted.low, wanted.high), channels=plan.channels)
    low = tuple(channel[0] for channel in found.values)
    # An even channel becomes 0 everywhere rather than infinite.
    high = tuple(b if b > a else a + 1 for a, b in found.values)
    return FixedNormalisation(
        "percentile", wanted.low, wanted.high, GreyRange(low, high), found.level, found.sampled
    )
