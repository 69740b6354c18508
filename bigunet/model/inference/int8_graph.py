"""OpenVINO's graph of a U-Net in integers of 8 bits.

Activations are the integers 0 to 255, so that OpenVINO finds nothing to rescale between layers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bigunet.model.int8.int8_unet import Int8UNet
from bigunet.model.int8.layers import FIRST, HEAD, is_up
from bigunet.model.int8.numbers import LEVELS


def int8_graph(network: Int8UNet) -> Any:
    """A graph from the grey values of ``network.levels`` to scores, for tiles of any shape."""
    import openvino
    from openvino import opset13 as op

    config = network.config
    builder = _Builder(network, op)
    parameter = op.parameter([1, config.in_channels, *(-1,) * config.ndim], np.float32)
    x, skips = parameter, []
    for level in range(config.depth + 1):
        x = builder.block(x, f"encoder.{level}")
        if level < config.depth:
            skips.append(builder.cropped(x, network.crops[level]))
            x = builder.pooled(x)
    for level in reversed(range(config.depth)):
        x = op.concat([skips.pop(), builder.activation(x, f"up.{level}")], axis=1)
        x = builder.block(x, f"decoder.{level}")
    coarse, fine = op.split(builder.scaled(x, HEAD), builder.whole(1), 2).outputs()
    return openvino.Model([op.result(op.add(coarse, fine))], [parameter], "int8")


class _Builder:
    """The layers of a network as operations of OpenVINO."""

    def __init__(self, network: Int8UNet, op: Any) -> None:
        self._layers = network.numbers.layers
        self._ndim = network.config.ndim
        self._op = op

    def block(self, x: Any, name: str) -> Any:
        return self.activation(self.activation(x, f"{name}.0"), f"{name}.1")

    def activation(self, x: Any, name: str) -> Any:
        """The outputs of a layer, rounded to 0 to 255; negative ones become 0."""
        ends = [self._real(0), self._real(LEVELS)] * 2
        return self._op.fake_quantize(self.scaled(x, name), *ends, LEVELS + 1)

    def scaled(self, x: Any, name: str) -> Any:
        op, layer = self._op, self._layers[name]
        stride, nothing = [1] * self._ndim, [0] * self._ndim
        weight, multiplier = layer.weight.numpy(), 1 / layer.divisor.numpy()
        along = multiplier.reshape(-1, *(1,) * (weight.ndim - (2 if is_up(name) else 1)))
        if name == FIRST:
            # Powers of two, which round nothing here.
            kernel = self._real(weight.astype(np.float32) * along)
        else:
            kernel = op.multiply(op.convert(op.constant(weight), "f32"), self._real(along))
        if is_up(name):
            sums = op.convolution_backprop_data(x, kernel, [2] * self._ndim)
        else:
            sums = op.convolution(x, kernel, stride, nothing, nothing, stride)
        bias = layer.bias.numpy() / layer.divisor.numpy().astype(np.float64)
        return op.add(sums, self._real(bias.reshape(1, -1, *(1,) * self._ndim)))

    def cropped(self, x: Any, margin: int) -> Any:
        axes = range(2, 2 + self._ndim)
        ends = [self.whole([margin] * self._ndim), self.whole([-margin] * self._ndim)]
        return self._op.slice(x, *ends, self.whole([1] * self._ndim), self.whole(list(axes)))

    def pooled(self, x: Any) -> Any:
        two, nothing = [2] * self._ndim, [0] * self._ndim
        return self._op.max_pool(x, two, [1] * self._ndim, nothing, nothing, two).output(0)

    def whole(self, numbers: Any) -> Any:
        return self._op.constant(np.asarray(numbers, np.int64))

    def _real(self, numbers: Any) -> Any:
        return self._op.constant(np.asarray(numbers, np.float32))
