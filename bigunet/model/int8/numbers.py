"""The numbers of a U-Net in integers of 8 bits, as a model file holds them; nothing executable.

Each layer computes ``(sum of integers + bias) / divisor``, rounded to an integer. Sums of integers
do not depend on their order, and the divisors are such that no rounding is in doubt. So every
processor, every tile and every library gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from bigunet.errors import ModelError
from bigunet.model.int8.layers import FIRST, HEAD, is_up, layer_shapes
from bigunet.model.networks.unet import UNetConfig

PREFIX = "int8."
LARGEST_WEIGHT = 64
"""Two products of 255 and 64 fit into 16 bits: AVX2 adds pairs of products there, and saturates."""
LEVELS = 255
"""The largest activation; the least is 0."""
INPUT_LEVELS = 4095
"""The largest grey value that the first layer reads."""
EXACT = 2**24
"""Float32 holds all integers up to this one."""


_PARTS = ("weight", "divisor", "bias")


@dataclass(frozen=True, slots=True, eq=False)
class Int8Layer:
    """One convolution.

    Parameters
    ----------
    weight : Tensor of int8, or of int16 in the first layer
        As in torch: (out, in, *kernel), and (in, out, *kernel) for an up-convolution.
    divisor : Tensor of float32, (out,)
        Odd whole numbers; powers of two in the first layer and in the head.
    bias : Tensor of int32, (out,)
    """

    weight: Tensor
    divisor: Tensor
    bias: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Int8Numbers:
    """All layers of a U-Net.

    Parameters
    ----------
    low, step : Tensor of float32, (channel,)
        Network input that is the grey value 0 of the first layer, and the distance of two.
    layers : mapping of str to Int8Layer
        By the names of :func:`bigunet.model.int8.layers.layer_shapes`. The last layer, ``head``,
        gives each score in two parts to be added: first all coarse parts, then all fine parts.
    """

    low: Tensor
    step: Tensor
    layers: Mapping[str, Int8Layer]

    def to_tensors(self) -> dict[str, Tensor]:
        """All numbers by their names in a model file."""
        tensors = {f"{PREFIX}low": self.low, f"{PREFIX}step": self.step}
        for name, layer in self.layers.items():
            for part in _PARTS:
                tensors[f"{PREFIX}{name}.{part}"] = getattr(layer, part)
        return tensors

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], config: UNetConfig) -> Int8Numbers:
        """The numbers written by :meth:`to_tensors`.

        Raises
        ------
        ModelError
            If a tensor is missing or does not fit, or if a sum could be inexact.
        """
        expected = _expected(config)
        if {PREFIX + name for name in expected} != set(tensors):
            raise _unfit("are not those of the network")
        for name, (shape, dtype) in expected.items():
            tensor = tensors[PREFIX + name]
            if tuple(tensor.shape) != shape or tensor.dtype != dtype:
                raise _unfit(f"{name} have another shape or type")
        layers = {}
        for name in layer_shapes(config):
            parts = {part: tensors[f"{PREFIX}{name}.{part}"] for part in _PARTS}
            layers[name] = Int8Layer(**parts)
            _check_layer(name, layers[name])
        low, step = tensors[f"{PREFIX}low"], tensors[f"{PREFIX}step"]
        if not (low.isfinite().all() and step.isfinite().all() and (step > 0).all()):
            raise _unfit("have no range of the input")
        return cls(low, step, layers)


def _expected(config: UNetConfig) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
    """Shape and type of each tensor, by its name without the prefix."""
    channels: tuple[int, ...] = (config.in_channels,)
    expected = {"low": (channels, torch.float32), "step": (channels, torch.float32)}
    for name, shape in layer_shapes(config).items():
        out = (shape[1 if is_up(name) else 0],)
        expected[f"{name}.weight"] = (shape, torch.int16 if name == FIRST else torch.int8)
        expected[f"{name}.divisor"] = (out, torch.float32)
        expected[f"{name}.bias"] = (out, torch.int32)
    return expected


def _check_layer(name: str, layer: Int8Layer) -> None:
    divisor, largest = layer.divisor, layer.weight.to(torch.int64).abs()
    if not (divisor.isfinite().all() and (divisor > 0).all()):
        raise _unfit(f"{name} have no divisor")
    if name in (FIRST, HEAD):
        exact = (torch.frexp(divisor).mantissa == 0.5).all()
    else:
        exact = (divisor % 2 == 1).all()
    if name == FIRST:
        sums = largest.flatten(1).sum(1) * INPUT_LEVELS + layer.bias.to(torch.int64).abs()
        exact = exact and sums.max() <= EXACT
    if not exact:
        raise _unfit(f"{name} cannot be computed without rounding")
    if name != FIRST and largest.max() > LARGEST_WEIGHT:
        raise _unfit(f"{name} have weights of more than 7 bits")


def _unfit(reason: str) -> ModelError:
    return ModelError(f"the 8-bit numbers {reason}: make them anew with bigunet quantise")
