"""A U-Net in integers of 8 bits, computed by torch; OpenVINO's graph equals it to the byte."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from bigunet.model.int8.layers import FIRST, HEAD, is_up
from bigunet.model.int8.numbers import EXACT, INPUT_LEVELS, LEVELS, Int8Layer, Int8Numbers
from bigunet.model.networks.network import POOL, Network
from bigunet.model.networks.unet import UNetConfig, skip_crops

_CONVOLVE = {2: F.conv2d, 3: F.conv3d}
_CONVOLVE_UP = {2: F.conv_transpose2d, 3: F.conv_transpose3d}


class Int8UNet(Network):
    """Gives the scores of a quantised U-Net; for inference only.

    Parameters
    ----------
    config : UNetConfig
    numbers : Int8Numbers
    """

    config: UNetConfig

    def __init__(self, config: UNetConfig, numbers: Int8Numbers) -> None:
        super().__init__()
        self.config = config
        self.numbers = numbers
        # State, so that whoever takes a digest of the module sees its numbers.
        for name, tensor in numbers.to_tensors().items():
            self.register_buffer(name.replace(".", "_"), tensor)
        self.crops = skip_crops(config.depth)
        self.pool = POOL[config.ndim](2)

    def forward(self, image: Tensor) -> Tensor:
        """Scores, (n, classes, *inner), for an image (n, channel, *space) in fp32."""
        return self.scores_of(self.levels(image))

    def levels(self, image: Tensor) -> Tensor:
        """The grey values 0 to 4095 that the first layer reads, as fp32."""
        along = (1, -1, *(1,) * self.config.ndim)
        low, step = self.numbers.low.reshape(along), self.numbers.step.reshape(along)
        return image.sub(low).div_(step).round_().clamp_(0, INPUT_LEVELS)

    def scores_of(self, x: Tensor) -> Tensor:
        """Scores for the grey values of :meth:`levels`."""
        skips = []
        for level in range(self.config.depth):
            x = self._activation(self._activation(x, f"encoder.{level}.0"), f"encoder.{level}.1")
            crop = self.crops[level]
            inner = (slice(crop, -crop),) * self.config.ndim
            skips.append(x[(slice(None), slice(None), *inner)])
            x = self.pool(x)
        bottom = self.config.depth
        x = self._activation(self._activation(x, f"encoder.{bottom}.0"), f"encoder.{bottom}.1")
        for level in reversed(range(self.config.depth)):
            x = torch.cat((skips.pop(), self._activation(x, f"up.{level}")), dim=1)
            x = self._activation(self._activation(x, f"decoder.{level}.0"), f"decoder.{level}.1")
        coarse, fine = self._scaled(x, HEAD).chunk(2, dim=1)
        return coarse + fine

    def _activation(self, x: Tensor, name: str) -> Tensor:
        return self._scaled(x, name).round_().clamp_(0, LEVELS)

    def _scaled(self, x: Tensor, name: str) -> Tensor:
        layer, ndim = self.numbers.layers[name], self.config.ndim
        # Float64 holds sums of any layer; float32 is faster, and holds those of most.
        dtype = torch.float32 if _fits_float32(name, layer) else torch.float64
        weight, x = layer.weight.to(dtype), x.to(dtype)
        if is_up(name):
            sums = _CONVOLVE_UP[ndim](x, weight, stride=2)
        else:
            sums = _CONVOLVE[ndim](x, weight)
        along = (1, -1, *(1,) * ndim)
        sums = sums + layer.bias.to(dtype).reshape(along)
        return sums.float() / layer.divisor.reshape(along)


def _fits_float32(name: str, layer: Int8Layer) -> bool:
    sums = layer.weight.to(torch.int64).abs()
    others = [axis for axis in range(sums.ndim) if axis != (1 if is_up(name) else 0)]
    largest = sums.sum(others) * (INPUT_LEVELS if name == FIRST else LEVELS)
    return bool((largest + layer.bias.abs()).max() <= EXACT)
