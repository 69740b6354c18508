"""The U-Net of Ronneberger et al. 2015, in 2D and 3D, with valid convolutions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from bigunet.errors import ModelError
from bigunet.model.brief import brief
from bigunet.model.networks.network import (
    CONV,
    DROPOUT,
    POOL,
    UP,
    ConvBlock,
    Network,
    block_flops,
    check_numbers,
    less,
)
from bigunet.receptive import Layer, ReceptiveField

MAX_DEPTH = 8


@dataclass(frozen=True, slots=True)
class UNetConfig:
    """The numbers of a U-Net; the defaults are those of the paper.

    Parameters
    ----------
    ndim : {2, 3}
        Number of spatial axes.
    in_channels, classes : int
        Number of channels of the input, and number of scores per voxel.
    width : int
        Number of channels of the first level; each pooling doubles it.
    depth : int
        Number of poolings, 1 to 8; the stride is ``2**depth``.
    batch_norm : bool
        Whether batch normalisation follows each convolution; it is folded into it for inference.
    dropout : float
        Share of channels that training drops at the end of the contracting path.

    Raises
    ------
    ModelError
        If a number is out of its range.
    """

    ndim: int = 2
    in_channels: int = 1
    classes: int = 2
    width: int = 64
    depth: int = 4
    batch_norm: bool = False
    dropout: float = 0.5

    def __post_init__(self) -> None:
        atleast = {"in_channels": 1, "classes": 1, "width": 1}
        check_numbers(self, "a U-Net", axes=(2, 3), atleast=atleast, depth=MAX_DEPTH)

    @classmethod
    def from_dict(cls, numbers: Mapping[str, Any]) -> UNetConfig:
        """The configuration written by :meth:`to_dict`."""
        try:
            return cls(**numbers)
        except TypeError as error:
            raise ModelError(f"not the numbers of a U-Net: {brief(numbers)} ({error})") from error

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def activations(self, shape: Sequence[int]) -> int:
        """Number of values that a forward pass on an input of ``shape`` holds at its peak.

        The peak is in the first block or in the last. The first block holds the input and the
        output of a convolution. The last holds a skip, an up-convolution, and both concatenated.
        """
        last = self.receptive_field().scores_shape(shape)
        return self.width * max(2 * math.prod(shape), 4 * math.prod(n + 4 for n in last))

    def receptive_field(self) -> ReceptiveField:
        """Halo, border and stride, from the layers of the deepest path.

        >>> UNetConfig(ndim=2, depth=4).receptive_field().halo
        (92, 92)
        """
        double = [Layer("conv", 3), Layer("conv", 3)]
        chain = [*double]
        for _ in range(self.depth):
            chain += [Layer("pool", 2), *double]
        for _ in range(self.depth):
            chain += [Layer("up", 2), *double]
        return ReceptiveField.of_chain(chain, ndim=self.ndim)

    def flops(self, shape: Sequence[int]) -> int:
        """Number of operations of one forward pass on an input of ``shape``.

        A multiplication and an addition count as two.

        >>> UNetConfig().flops((572, 572)) / 388**2 / 1e6
        1.9984645611648422
        """
        total: int = 0
        inputs = self.in_channels
        for level in range(self.depth + 1):
            channels = self.width * 2**level
            total += block_flops(shape, inputs, channels)
            shape = less(shape, 4)
            inputs = channels
            if level < self.depth:
                shape = tuple(n // 2 for n in shape)
        for level in reversed(range(self.depth)):
            channels = self.width * 2**level
            # Each voxel of an up-convolution has one tap, which reads twice the channels.
            shape = tuple(2 * n for n in shape)
            total += 2 * math.prod(shape) * 2 * channels * channels
            total += block_flops(shape, 2 * channels, channels)
            shape = less(shape, 4)
        return total + 2 * math.prod(shape) * self.width * self.classes


class UNet(Network):
    """U-Net with valid convolutions: the scores are smaller than the input by twice the halo.

    Parameters
    ----------
    config : UNetConfig
        With width 64 and depth 4 in 2D there are 31,030,658 weights, and 572² input voxels give
        388² scores.

    References
    ----------
    Ronneberger, Fischer, Brox: U-Net: Convolutional Networks for Biomedical Image Segmentation,
    MICCAI 2015, doi:10.1007/978-3-319-24574-4_28. 3D: Çiçek et al., MICCAI 2016.
    """

    config: UNetConfig

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        channels = [config.width * 2**level for level in range(config.depth + 1)]
        inputs = [config.in_channels, *channels[:-1]]
        block = partial(ConvBlock, ndim=config.ndim, batch_norm=config.batch_norm)
        self.encoder = nn.ModuleList(block(a, b) for a, b in zip(inputs, channels))
        self.pool = POOL[config.ndim](2)
        self.dropout = DROPOUT[config.ndim](config.dropout)
        self.up = nn.ModuleList(UP[config.ndim](2 * c, c, 2, stride=2) for c in channels[:-1])
        self.decoder = nn.ModuleList(block(2 * c, c) for c in channels[:-1])
        self.head = CONV[config.ndim](config.width, config.classes, 1)
        self._crops = skip_crops(config.depth)
        self._field = config.receptive_field()

    def forward(self, image: Tensor) -> Tensor:
        """Scores before the softmax, (n, classes, *input - 2·border), for (n, c, *input).

        Raises
        ------
        ModelError
            If the input cannot pass the poolings; the message has the nearest valid sizes.
        """
        self._field.check_input(image.shape[2:])
        x, skips = image, []
        for level in range(self.config.depth):
            x = self.encoder[level](x)
            skip = self._crop(x, self._crops[level])
            # Not a view, which would keep all of x in memory; at depth 4, most of a small tile is
            # cropped away.
            skips.append(skip if torch.is_grad_enabled() else skip.clone())
            if level == self.config.depth - 1:
                x = self.dropout(x)
            x = self.pool(x)
        x = self.dropout(self.encoder[-1](x))
        for level in reversed(range(self.config.depth)):
            x = torch.cat((skips.pop(), self.up[level](x)), dim=1)
            x = self.decoder[level](x)
        scores: Tensor = self.head(x)
        return scores

    def _crop(self, x: Tensor, margin: int) -> Tensor:
        inner = (slice(margin, -margin),) * self.config.ndim
        return x[(slice(None), slice(None), *inner)]


def skip_crops(depth: int) -> list[int]:
    """Voxels to cut from each side of each skip connection, from the top level down.

    >>> skip_crops(4)
    [88, 40, 16, 4]
    """
    crops = [4]
    while len(crops) < depth:
        # One level down, two blocks lose 2 voxels each, in addition to the crop of that level.
        crops.append(2 * (crops[-1] + 4))
    return crops[::-1]
