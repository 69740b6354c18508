"""From grey values to network inputs: the grey range becomes 0 to 1, the same for all tiles."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bigunet.grey.exact_differences import subtract

Limit = float | None
_GREATEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True)
class GreyRange:
    """Grey values that become 0 and 1, one of each per channel; integers of any size are exact.

    Where ``low`` is the greater one, bright and dark are turned over.

    Parameters
    ----------
    low, high : tuple of float
    least, greatest : tuple of (float or None), optional
        Grey values beyond which outliers lie: what is beyond counts as this value. None, or an
        empty tuple, for no limit.
    padding : tuple of tuple of float, optional
        Values that stand for "no data".
    fill : tuple of float, optional
        What counts in the place of padding.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    least: tuple[Limit, ...] = ()
    greatest: tuple[Limit, ...] = ()
    padding: tuple[tuple[float, ...], ...] = ()
    fill: tuple[float, ...] = ()

    @property
    def limits(self) -> tuple[tuple[float, float], ...]:
        """Least and greatest network input of each channel; empty where there is no limit."""
        if all(value is None for value in (*self.least, *self.greatest)):
            return ()
        ends = zip(self.low, self.high, self.least, self.greatest)
        return tuple(_limits(low, high, least, greatest) for low, high, least, greatest in ends)


def _limits(low: float, high: float, least: Limit, greatest: Limit) -> tuple[float, float]:
    inputs = [
        unlimited if value is None else (value - low) / abs(high - low)
        for value, unlimited in ((least, -math.inf), (greatest, math.inf))
    ]
    return (inputs[0], inputs[1]) if low < high else (-inputs[1], -inputs[0])


class NetworkInputs:
    """Turns grey values of tiles into what a network reads.

    Parameters
    ----------
    grey_range : GreyRange
    ndim : int
        Axes that the network sees.
    device : torch.device
    """

    def __init__(self, grey_range: GreyRange, *, ndim: int, device: torch.device) -> None:
        along = (-1, *(1,) * ndim)
        self._range = grey_range
        low = torch.tensor(grey_range.low, dtype=torch.float64).reshape(along)
        # In a range of no width all is 0.
        span = [b - a or math.inf for a, b in zip(grey_range.low, grey_range.high)]
        self._is_wide = not all(map(_fits_float32, (*grey_range.low, *span)))
        self._span = torch.tensor(span, dtype=torch.float64).reshape(along)
        self._device_low = low.float().to(device)
        self._device_span = self._span.float().to(device)
        self._limits = [
            torch.tensor(ends).reshape(along).to(device) for ends in zip(*grey_range.limits)
        ]

    def prepared(self, tile: np.ndarray) -> Tensor:
        """What the device is given of a tile; already normalised (float64), if it is wide.

        Parameters
        ----------
        tile : ndarray, (channel, *space)
            Grey values in any numeric dtype.
        """
        tile = self._without_padding(np.ascontiguousarray(tile))
        if self._is_wide or _exceeds_float32(tile.dtype):
            # In integers where they are integers: past 2^53 their floats are too far apart.
            away = [subtract(channel, low) for channel, low in zip(tile, self._range.low)]
            return torch.from_numpy(_zero_for_none(np.stack(away))).div_(self._span)
        return torch.from_numpy(_supported(tile))

    def normalised(self, values: Tensor) -> Tensor:
        """Network inputs of prepared values, float32, in memory of their own.

        Voxels that are not finite become 0. Inputs beyond float32 become its greatest number, with
        which a network gives no finite score, and so is refused.
        """
        if values.dtype == torch.float64:
            image = values.clamp(-_GREATEST, _GREATEST).float()
        else:
            image = values.to(torch.float32, copy=True).sub_(self._device_low)
            # Before the division, which makes infinities of finite voxels.
            image = torch.nan_to_num_(image, nan=0.0, posinf=0.0, neginf=0.0)
            image = image.div_(self._device_span).clamp_(-_GREATEST, _GREATEST)
        return image.clamp_(*self._limits) if self._limits else image

    def _without_padding(self, tile: np.ndarray) -> np.ndarray:
        """The tile, with the fill in the place of padding; a copy only where there is padding."""
        if not any(self._range.padding):
            return tile
        filled = tile.copy()
        for channel, values, fill in zip(filled, self._range.padding, self._range.fill):
            for value in values:
                channel[channel == value] = _within(fill, channel.dtype)
        return filled


def _within(value: float, dtype: np.dtype) -> float:
    """The value, or the nearest one that an integer type holds."""
    if dtype.kind not in "iu":
        return value
    limits = np.iinfo(dtype)
    return min(max(round(value), int(limits.min)), int(limits.max))


def _exceeds_float32(dtype: np.dtype) -> bool:
    """Whether float32 would round or overflow grey values that the grey range tells apart."""
    return (dtype.kind in "iu" and dtype.itemsize > 2) or (dtype.kind == "f" and dtype.itemsize > 4)


def _zero_for_none(away: np.ndarray) -> np.ndarray:
    """Differences, with 0 for those of voxels that are no numbers."""
    away[~np.isfinite(away)] = 0
    return away


def _fits_float32(number: float) -> bool:
    """Whether float32 holds a number, and such as are some times as large or as small."""
    return number == 0 or 1e-30 < abs(number) < 1e30


def _supported(tile: np.ndarray) -> np.ndarray:
    """The tile in a dtype that torch can take, without loss."""
    return tile.astype(np.float32) if tile.dtype == np.uint16 else tile
