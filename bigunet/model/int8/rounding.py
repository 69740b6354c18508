"""From a layer's real weights to integers, so that all sums and products are exact in float32."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bigunet.model.int8.numbers import (
    EXACT,
    INPUT_LEVELS,
    LARGEST_WEIGHT,
    LEVELS,
    Int8Layer,
)

_FINE = 128
"""A coarse part of a score's weight is this many times a fine one."""
_ROUNDINGS = 16
"""Twice the number of roundings of float32 that one output may take."""


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """What the integers of an activation stand for: ``low + step * level``, per channel."""

    low: Tensor
    step: Tensor


def rounded(weight: Tensor, bias: Tensor, *, inputs: Levels, outputs: Levels) -> Int8Layer:
    """A layer with outputs of 0 to 255.

    A whole number divided by an odd one is never half-way between two whole numbers. It differs
    from there by half of 1 / divisor at least, which is more than float32 rounds. So all libraries
    round it to the same whole number, whether they multiply, divide or fuse operations.

    Parameters
    ----------
    weight : Tensor of float, (out, in, *kernel)
    bias : Tensor of float, (out,)
    inputs, outputs : Levels
    """
    weight, bias = in_levels(weight, bias, inputs, outputs)
    most = EXACT / (_ROUNDINGS * (LEVELS + 1 + bias.abs()))
    divisor = (LARGEST_WEIGHT / _largest(weight)).minimum(most).floor()
    divisor = (divisor - 1 + divisor % 2).clamp(min=1)
    whole = (weight * _along(divisor, weight)).round()
    return Int8Layer(
        whole.clamp(-LARGEST_WEIGHT, LARGEST_WEIGHT).to(torch.int8),
        divisor.float(),
        (bias * divisor).round().to(torch.int32),
    )


def first_rounded(weight: Tensor, bias: Tensor, *, inputs: Levels, outputs: Levels) -> Int8Layer:
    """The first layer: finer inputs and weights; float32 adds them without rounding.

    Divisors are powers of two, so that they may be part of the weights.
    """
    weight, bias = in_levels(weight, bias, inputs, outputs)
    # Room for the rounding of each weight and of the bias.
    room = EXACT - (weight[0].numel() + 1) * INPUT_LEVELS
    total = weight.abs().flatten(1).sum(1) * INPUT_LEVELS + bias.abs()
    unit = _power_of_two(total / room).clamp(min=2.0**-20)
    whole = (weight / _along(unit, weight)).round().clamp(-(2**15), 2**15 - 1)
    return Int8Layer(
        whole.to(torch.int16), (1 / unit).float(), (bias / unit).round().to(torch.int32)
    )


def head_rounded(weight: Tensor, bias: Tensor, *, inputs: Levels) -> Int8Layer:
    """The last layer: each score in a coarse and a fine part, which are 13 bits together."""
    ones = torch.ones_like(bias)
    weight, bias = in_levels(weight, bias, inputs, Levels(0 * ones, ones))
    least = (_largest(weight) / (LARGEST_WEIGHT * _FINE)).maximum(bias.abs() / 2**29)
    unit = _power_of_two(least)
    coarse, fine = _parts((weight / _along(unit, weight)).round())
    coarse_bias, fine_bias = _parts((bias / unit).round())
    return Int8Layer(
        torch.cat((coarse, fine)).to(torch.int8),
        torch.cat((1 / (unit * _FINE), 1 / unit)).float(),
        torch.cat((coarse_bias, fine_bias)).to(torch.int32),
    )


def in_levels(
    weight: Tensor, bias: Tensor, inputs: Levels, outputs: Levels
) -> tuple[Tensor, Tensor]:
    """Weights and bias, in float64, that map levels of the inputs to levels of the outputs."""
    weight, bias = weight.double(), bias.double()
    low, step = inputs.low.double(), inputs.step.double()
    along_in = (1, -1, *(1,) * (weight.ndim - 2))
    bias = bias + (weight * low.reshape(along_in)).flatten(1).sum(1)
    weight = weight * step.reshape(along_in)
    out = outputs.step.double()
    return weight / _along(out, weight), (bias - outputs.low.double()) / out


def _parts(whole: Tensor) -> tuple[Tensor, Tensor]:
    coarse = (whole / _FINE).round()
    return coarse, whole - coarse * _FINE


def _largest(weight: Tensor) -> Tensor:
    # A channel without weights has any unit.
    return weight.abs().flatten(1).amax(1).clamp(min=2.0**-40)


def _power_of_two(least: Tensor) -> Tensor:
    """The smallest powers of two that are not below these numbers."""
    return torch.exp2(torch.log2(least.double()).ceil())


def _along(values: Tensor, weight: Tensor) -> Tensor:
    return values.reshape(-1, *(1,) * (weight.ndim - 1))
