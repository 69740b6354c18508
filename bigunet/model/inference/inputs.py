"""Network inputs from grey values: the grey range becomes 0 to 1, in the same way for all tiles."""

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
    """The grey values of each channel that become 0 and 1; integers of any size are exact.

    If ``low`` is greater than ``high``, bright and dark change places.

    Parameters
    ----------
    low, high : tuple of float
        Grey value of each channel that becomes 0, and that becomes 1.
    least, greatest : tuple of (float or None), optional
        Limits of each channel for outliers: a value beyond a limit is replaced by the limit. None,
        or an empty tuple, means no limit.
    padding : tuple of tuple of float, optional
        Values of each channel that mean "no data".
    fill : tuple of float, optional
        Value of each channel that replaces padding.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    least: tuple[Limit, ...] = ()
    greatest: tuple[Limit, ...] = ()
    padding: tuple[tuple[float, ...], ...] = ()
    fill: tuple[float, ...] = ()

    @property
    def limits(self) -> tuple[tuple[float, float], ...]:
        """Least and greatest network input of each channel; empty if there is no limit."""
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
    """Turns the grey values of tiles into network inputs.

    Parameters
    ----------
    grey_range : GreyRange
    ndim : int
        Number of axes that the network sees.
    device : torch.device
    """

    def __init__(self, grey_range: GreyRange, *, ndim: int, device: torch.device) -> None:
        along = (-1, *(1,) * ndim)
        self._range = grey_range
        # Apple's GPUs have no float64, so that grey values become inputs before they go there.
        self._on_host = device.type == "mps"
        device = torch.device("cpu") if self._on_host else device
        low = torch.tensor(grey_range.low, dtype=torch.float64).reshape(along)
        # With an infinite span, a range of width 0 makes all values 0.
        span = [b - a or math.inf for a, b in zip(grey_range.low, grey_range.high)]
        self._is_wide = not all(map(_fits_float32, (*grey_range.low, *span)))
        self._span = torch.tensor(span, dtype=torch.float64).reshape(along)
        self._device_low = low.float().to(device)
        self._device_span = self._span.float().to(device)
        self._limits = [
            torch.tensor(ends).reshape(along).to(device) for ends in zip(*grey_range.limits)
        ]

    def prepared(self, tile: np.ndarray) -> Tensor:
        """The values of a tile that go to the device.

        They are already normalised, in float64, if float32 could not hold the grey values exactly,
        and in float32 for a device that has no float64.

        Parameters
        ----------
        tile : ndarray, (channel, *space)
            Grey values in any numeric dtype.
        """
        values = self._values(self._without_padding(np.ascontiguousarray(tile)))
        return self._inputs(values) if self._on_host else values

    def _values(self, tile: np.ndarray) -> Tensor:
        """Grey values that float32 holds exactly, or their normalised differences in float64."""
        if self._is_wide or _exceeds_float32(tile.dtype):
            # Integers are subtracted as integers: above 2^53, floats are too far apart.
            differences = [subtract(channel, low) for channel, low in zip(tile, self._range.low)]
            return torch.from_numpy(_with_finite(np.stack(differences))).div_(self._span)
        return torch.from_numpy(_supported(tile))

    def normalised(self, values: Tensor) -> Tensor:
        """Network inputs from prepared values, float32, in new memory.

        Voxels that are not finite become 0. Inputs beyond float32 become its greatest number; the
        network then gives scores that are not finite, which is an error.
        """
        return values if self._on_host else self._inputs(values)

    def _inputs(self, values: Tensor) -> Tensor:
        if values.dtype == torch.float64:
            image = values.clamp(-_GREATEST, _GREATEST).float()
        else:
            image = values.to(torch.float32, copy=True).sub_(self._device_low)
            # Before the division, because that can make infinities of finite voxels.
            image = torch.nan_to_num_(image, nan=0.0, posinf=0.0, neginf=0.0)
            image = image.div_(self._device_span).clamp_(-_GREATEST, _GREATEST)
        return image.clamp_(*self._limits) if self._limits else image

    def _without_padding(self, tile: np.ndarray) -> np.ndarray:
        """The tile with padding replaced by the fill; a copy only if there is padding."""
        if not any(self._range.padding):
            return tile
        filled = tile.copy()
        for channel, values, fill in zip(filled, self._range.padding, self._range.fill):
            for value in values:
                channel[channel == value] = _within(fill, channel.dtype)
        return filled


def _within(value: float, dtype: np.dtype) -> float:
    """The value, or the nearest value that an integer type can hold."""
    if dtype.kind not in "iu":
        return value
    limits = np.iinfo(dtype)
    return min(max(round(value), int(limits.min)), int(limits.max))


def _exceeds_float32(dtype: np.dtype) -> bool:
    """Whether float32 could round or overflow grey values of this type."""
    return (dtype.kind in "iu" and dtype.itemsize > 2) or (dtype.kind == "f" and dtype.itemsize > 4)


def _with_finite(differences: np.ndarray) -> np.ndarray:
    """The differences, with 0 for voxels that are not finite."""
    differences[~np.isfinite(differences)] = 0
    return differences


def _fits_float32(number: float) -> bool:
    """Whether float32 can hold a number, with room for much larger and much smaller ones."""
    return number == 0 or 1e-30 < abs(number) < 1e30


def _supported(tile: np.ndarray) -> np.ndarray:
    """The tile in a dtype that torch supports, without loss."""
    return tile.astype(np.float32) if tile.dtype == np.uint16 else tile
