"""Columns of the grey values of one channel, from their sums."""

from __future__ import annotations

import numpy as np

from bigunet.measuring.channel_sums import ChannelSums
from bigunet.measuring.wide import LIMB_BITS

Columns = dict[str, np.ndarray]


def grey_columns(channel: ChannelSums, voxels: np.ndarray) -> Columns:
    """Mean, standard deviation, least and greatest grey value of objects of so many voxels."""
    suffix = f"-{channel.name}" if channel.name else ""
    mean, std = _mean_and_deviation(channel, voxels)
    return {
        f"intensity_mean{suffix}": mean,
        f"intensity_std{suffix}": std,
        f"intensity_min{suffix}": channel.least,
        f"intensity_max{suffix}": channel.greatest,
    }


def confidence_of(probability: ChannelSums, voxels: np.ndarray) -> np.ndarray:
    """Mean probability, 0 to 1; whole numbers count from 0 to the greatest of their type."""
    mean, _ = _mean_and_deviation(probability, voxels)
    kind = probability.least.dtype
    return mean if kind.kind == "f" else mean / np.iinfo(kind).max


def _mean_and_deviation(channel: ChannelSums, voxels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean, std = _of_finite(channel, voxels)
    least, greatest = channel.least, channel.greatest
    if least.dtype.kind == "f":
        finite = np.isfinite(least) & np.isfinite(greatest)
        with np.errstate(invalid="ignore", over="ignore"):
            # NaN if there is a NaN, or infinities of both signs; else the infinity.
            mean = np.where(finite, mean, least + greatest)
        std = np.where(finite, std, np.nan)
    return mean, std


def _of_finite(channel: ChannelSums, voxels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean, and the root of n sum v**2 - (sum v)**2 over n**2: both are rounded once."""
    n = voxels.astype(object)
    low = min(channel.total.low, channel.squares.low // 2, 0)
    total = channel.total.integers(low)[:, 0]
    squares = channel.squares.integers(2 * low)[:, 0]
    unit = 1 << (-LIMB_BITS * low)
    variance = np.maximum(n * squares - total * total, 0) / (n * n * unit * unit)
    mean = total / (n * unit)
    return mean.astype(np.float64), np.sqrt(variance.astype(np.float64))
