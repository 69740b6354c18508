"""Makes the 8-bit numbers of a U-Net from its weights and from the ranges of its layers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from bigunet.errors import ModelError
from bigunet.model.inference.folding import fold_batch_norm
from bigunet.model.int8.layers import FIRST, HEAD, convolutions, is_up, layer_shapes, sources
from bigunet.model.int8.numbers import INPUT_LEVELS, LEVELS, Int8Layer, Int8Numbers
from bigunet.model.int8.observing import INPUT, Ranges, observed
from bigunet.model.int8.rounding import Levels, first_rounded, head_rounded, rounded
from bigunet.model.networks.unet import UNet

# A layer that gave nothing but zeros.
_LEAST_RANGE = 1e-6


def quantised(module: nn.Module, images: Iterable[Tensor]) -> Int8Numbers:
    """The 8-bit numbers of a network, calibrated with images.

    Parameters
    ----------
    module : torch.nn.Module
        A U-Net of bigunet in evaluation mode, on the CPU.
    images : iterable of Tensor of float32, (n, channel, *space)
        Network inputs of a valid shape.

    Raises
    ------
    ModelError
        If the module is another network.
    """
    check_quantisable(module)
    network = fold_batch_norm(module)
    assert isinstance(network, UNet)
    return numbers_of(network, observed(network, images))


def check_quantisable(module: nn.Module) -> None:
    """Raise ModelError if a module is no U-Net of bigunet."""
    if not isinstance(module, UNet):
        raise ModelError(
            f"int8 is for U-Nets of bigunet, and this is a {type(module).__name__}: run it in "
            "fp32 or bf16"
        )


def numbers_of(network: UNet, ranges: Ranges) -> Int8Numbers:
    """The 8-bit numbers of a network with folded normalisations, and with these ranges."""
    levels = _levels(ranges)
    grey = _grey_levels(ranges)
    found = convolutions(network)
    layers: dict[str, Int8Layer] = {}
    for name in layer_shapes(network.config):
        weight, bias = _weights(found[name], up=is_up(name))
        if name == FIRST:
            layers[name] = first_rounded(weight, bias, inputs=grey, outputs=levels[name])
            continue
        inputs = _together([levels[one] for one in sources(name, network.config.depth)])
        if name == HEAD:
            layers[name] = head_rounded(weight, bias, inputs=inputs)
            continue
        layer = rounded(weight, bias, inputs=inputs, outputs=levels[name])
        layers[name] = _transposed(layer) if is_up(name) else layer
    return Int8Numbers(grey.low.float(), grey.step.float(), layers)


def _levels(ranges: Ranges) -> Mapping[str, Levels]:
    """What 0 to 255 stand for in the outputs of each layer; one step for all its channels.

    Outputs of up-convolutions have two signs, and begin at the least value of each channel.
    """
    levels = {}
    for name, high in ranges.high.items():
        low = ranges.low[name] if is_up(name) else torch.zeros_like(high)
        step = (high - low).max().clamp(min=_LEAST_RANGE) / LEVELS
        levels[name] = Levels(low, step.expand(len(high)))
    return levels


def _grey_levels(ranges: Ranges) -> Levels:
    """What the grey values of the first layer stand for, in numbers that float32 holds."""
    low, high = ranges.low[INPUT].float().double(), ranges.high[INPUT]
    step = (high - low).clamp(min=_LEAST_RANGE) / INPUT_LEVELS
    return Levels(low, step.float().double())


def _together(levels: list[Levels]) -> Levels:
    """The levels of concatenated channels."""
    return Levels(torch.cat([one.low for one in levels]), torch.cat([one.step for one in levels]))


def _weights(convolution: nn.Module, *, up: bool) -> tuple[Tensor, Tensor]:
    """Weights (out, in, *kernel) and bias in float64."""
    weight, bias = convolution.weight, convolution.bias
    assert isinstance(weight, Tensor)
    weight = weight.detach().double().transpose(0, 1) if up else weight.detach().double()
    if not isinstance(bias, Tensor):
        return weight, weight.new_zeros(len(weight))
    return weight, bias.detach().double()


def _transposed(layer: Int8Layer) -> Int8Layer:
    weight = layer.weight.transpose(0, 1).contiguous()
    return Int8Layer(weight, layer.divisor, layer.bias)
