"""What a chain of steps does with the grey values of a channel: one line, cut at two ends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bigunet.model.inference.inputs import GreyRange


@dataclass(frozen=True, slots=True)
class Pointwise:
    """``(value.clip(least, greatest) - low) / span``.

    Examples
    --------
    >>> Pointwise().scaled(2.0, 1.0).clipped(0.0, 5.0)
    Pointwise(low=-0.5, span=0.5, least=-0.5, greatest=2.0)
    """

    low: float = 0.0
    span: float = 1.0
    least: float = -math.inf
    greatest: float = math.inf

    def of(self, values: np.ndarray) -> np.ndarray:
        """The inputs for grey values, float64."""
        clipped = np.clip(values.astype(np.float64), self.least, self.greatest)
        inputs: np.ndarray = (clipped - self.low) / self.span
        return inputs

    def scaled(self, gain: float, offset: float) -> Pointwise:
        """The same, then ``gain · input + offset``."""
        span = self.span / gain
        return replace(self, low=self.low - offset * span, span=span)

    def standardised(self, mean: float, divisor: float) -> Pointwise:
        """The same, then ``(input - mean) / divisor``."""
        return replace(self, low=self.low + mean * self.span, span=self.span * divisor)

    def clipped(self, least: float, greatest: float) -> Pointwise:
        """The same, then a clip of the inputs."""
        ends = sorted((self._grey(least), self._grey(greatest)))
        return replace(
            self,
            least=min(max(self.least, ends[0]), ends[1]),
            greatest=min(max(self.greatest, ends[0]), ends[1]),
        )

    def _grey(self, value: float) -> float:
        return self.low + value * self.span


def grey_range_of(channels: Sequence[Pointwise]) -> GreyRange:
    """The grey range that has these inputs."""
    return GreyRange(
        tuple(one.low for one in channels),
        tuple(one.low + one.span for one in channels),
        tuple(None if one.least == -math.inf else one.least for one in channels),
        tuple(None if one.greatest == math.inf else one.greatest for one in channels),
    )
