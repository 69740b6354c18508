"""The network ``unet2d_nuclei_broad`` of bioimage.io, written from its description.

It shows that bigunet runs a module that it does not know: zero padding, bilinear upsampling, and
one logit per voxel.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _double(inputs: int, outputs: int) -> nn.Sequential:
    """Two convolutions, then one activation."""
    first = nn.Conv2d(inputs, outputs, 3, padding=1)
    return nn.Sequential(first, nn.Conv2d(outputs, outputs, 3, padding=1), nn.ReLU())


def _up(inputs: int, outputs: int) -> nn.Sequential:
    grow = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
    return nn.Sequential(grow, nn.Conv2d(inputs, outputs, 1))


class NucleiBroad(nn.Module):
    """Maps (n, 1, y, x) to logits (n, 1, y, x); y and x are multiples of 8."""

    def __init__(self) -> None:
        super().__init__()
        self.encoders = nn.ModuleList([_double(1, 16), _double(16, 32), _double(32, 64)])
        self.base = _double(64, 128)
        self.upsamplers = nn.ModuleList([_up(128, 64), _up(64, 32), _up(32, 16)])
        self.decoders = nn.ModuleList([_double(128, 64), _double(64, 32), _double(32, 16)])
        self.output = nn.Conv2d(16, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        x, skips = image, []
        for encoder in self.encoders:
            x = encoder(x)
            skips.append(x)
            x = F.max_pool2d(x, 2)
        x = self.base(x)
        for upsampler, decoder in zip(self.upsamplers, self.decoders):
            x = decoder(torch.cat((skips.pop(), upsampler(x)), dim=1))
        logits: Tensor = self.output(x)
        return logits
