"""The fully convolutional network of Long et al. 2015, in 2D and 3D, with valid convolutions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from bigunet.errors import ModelError
from bigunet.model.brief import brief
from bigunet.model.networks.network import (
    CONV,
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
_INTERPOLATION = {2: "bilinear", 3: "trilinear"}


@dataclass(frozen=True, slots=True)
class FCNConfig:
    """The numbers of a fully convolutional network with summed skips.

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
    skips : int
        Number of finer levels with scores that are added to those of the coarsest level, at most
        ``depth - 1``. The paper's FCN-8s has 2. The sum at the finest of these levels is
        interpolated to voxels.
    batch_norm : bool
        Whether batch normalisation follows each convolution; it is folded into it for inference.
    dropout : float
        Share of features that training drops before the coarsest scores.

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
    skips: int = 2
    batch_norm: bool = False
    dropout: float = 0.5

    def __post_init__(self) -> None:
        atleast = {"in_channels": 1, "classes": 1, "width": 1, "skips": 0}
        check_numbers(
            self, "a fully convolutional network", axes=(2, 3), atleast=atleast, depth=MAX_DEPTH
        )
        object.__setattr__(self, "skips", min(self.skips, self.depth - 1))

    @classmethod
    def from_dict(cls, numbers: Mapping[str, Any]) -> FCNConfig:
        """The configuration written by :meth:`to_dict`."""
        try:
            return cls(**numbers)
        except TypeError as error:
            raise ModelError(
                f"not the numbers of a fully convolutional network: {brief(numbers)} ({error})"
            ) from error

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def activations(self, shape: Sequence[int]) -> int:
        """Number of values that a forward pass on an input of ``shape`` holds at its peak.

        The peak is in the second convolution, which holds its input and its output.
        """
        return 2 * max(self.width, self.classes) * math.prod(shape)

    @property
    def finest(self) -> int:
        """The finest level with scores: its voxels are ``2**finest`` wide."""
        return self.depth - self.skips

    def receptive_field(self) -> ReceptiveField:
        """Halo, border and stride, from the layers of the deepest path.

        >>> FCNConfig(ndim=2, depth=4).receptive_field().halo
        (76, 76)
        """
        double = [Layer("conv", 3), Layer("conv", 3)]
        chain = [*double]
        for _ in range(self.depth):
            chain += [Layer("pool", 2), *double]
        for factor in (*(2,) * self.skips, 2**self.finest):
            # Interpolation repeats each coarse voxel, and then averages neighbours on both sides.
            chain += [Layer("up", factor), Layer("conv", factor + 1)]
        return ReceptiveField.of_chain(chain, ndim=self.ndim)

    def flops(self, shape: Sequence[int]) -> int:
        """Number of operations of one forward pass on an input of ``shape``.

        A multiplication and an addition count as two. The interpolation to voxels does not count,
        because it has no weights.
        """
        total: int = 0
        inputs = self.in_channels
        scored: list[tuple[int, ...]] = []
        for level in range(self.depth + 1):
            channels = self.width * 2**level
            total += block_flops(shape, inputs, channels)
            shape, inputs = less(shape, 4), channels
            if level < self.depth:
                shape = tuple(n // 2 for n in shape)
                scored.append(shape)
        total += 2 * math.prod(shape) * inputs * self.classes
        for level in range(self.depth - 1, self.finest - 1, -1):
            # Each coarse voxel goes through all taps, including those that are cut off later.
            total += 2 * math.prod(shape) * 4**self.ndim * self.classes**2
            shape = tuple(2 * (n - 1) for n in shape)
            total += 2 * math.prod(shape) * self.width * 2 ** (level - 1) * self.classes
        return total


class FCN(Network):
    """Fully convolutional network: upsampled scores of coarse levels plus scores of finer levels.

    It is the predecessor of the U-Net, without a second half that computes features at fine
    levels. Scores are computed from the features of the contracting path, at its coarsest level
    and at ``config.skips`` finer levels. A learned interpolation upsamples coarse scores, and a
    fixed one upsamples the sum. The convolutions are valid, like those of the U-Net's contracting
    path. The interpolation is valid, too: it gives no voxel that needs a coarse voxel outside.

    Parameters
    ----------
    config : FCNConfig

    References
    ----------
    Long, Shelhamer, Darrell: Fully Convolutional Networks for Semantic Segmentation, CVPR 2015,
    doi:10.1109/CVPR.2015.7298965.
    """

    config: FCNConfig

    def __init__(self, config: FCNConfig) -> None:
        super().__init__()
        self.config = config
        channels = [config.width * 2**level for level in range(config.depth + 1)]
        inputs = [config.in_channels, *channels[:-1]]
        block = partial(ConvBlock, ndim=config.ndim, batch_norm=config.batch_norm)
        self.encoder = nn.ModuleList(block(a, b) for a, b in zip(inputs, channels))
        self.pool = POOL[config.ndim](2)
        self.dropout = nn.Dropout(config.dropout)
        self.head = CONV[config.ndim](channels[-1], config.classes, 1)
        scored = channels[config.finest - 1 : config.depth - 1]
        self.skip_heads = nn.ModuleList(CONV[config.ndim](c, config.classes, 1) for c in scored)
        # A kernel of 4 with 2 voxels cut off leaves the voxels with two coarse voxels per axis.
        self.up = nn.ModuleList(
            UP[config.ndim](config.classes, config.classes, 4, stride=2, padding=2, bias=False)
            for _ in scored
        )
        self._crops = score_crops(config.depth, config.skips)
        self._field = config.receptive_field()

    def forward(self, image: Tensor) -> Tensor:
        """Scores before the softmax, (n, classes, *input - 2·border), for (n, c, *input).

        Raises
        ------
        ModelError
            If the input cannot pass the poolings; the message has the nearest valid sizes.
        """
        self._field.check_input(image.shape[2:])
        config, x, skips = self.config, image, []
        for level in range(1, config.depth + 1):
            x = self.pool(self.encoder[level - 1](x))
            if config.finest <= level < config.depth:
                number = level - config.finest
                skips.append(self.skip_heads[number](self._crop(x, self._crops[number])))
        scores: Tensor = self.head(self.dropout(self.encoder[-1](x)))
        for number in reversed(range(config.skips)):
            scores = self.up[number](scores) + skips[number]
        factor = 2**config.finest
        mode = _INTERPOLATION[config.ndim]
        voxels = functional.interpolate(scores, scale_factor=factor, mode=mode)
        return self._crop(voxels, factor // 2)

    def _crop(self, x: Tensor, margin: int) -> Tensor:
        inner = (slice(margin, -margin),) * self.config.ndim
        return x[(slice(None), slice(None), *inner)]

    def initialise(self) -> Self:
        """Draw weights as the U-Net does; the layers of the scores start as in the paper.

        Upsampling starts as linear interpolation. The scores of the finer levels start at 0, and
        learn what the coarse scores lack.
        """
        super().initialise()
        with torch.no_grad():
            for layer in self.up:
                weight = layer.get_parameter("weight")
                weight.copy_(linear_upsampling(weight))
            for layer in self.skip_heads:
                layer.get_parameter("weight").zero_()
        return self


def linear_upsampling(weight: Tensor) -> Tensor:
    """Weights (class, class, 4, …) that upsample each class by 2 with linear interpolation."""
    taps = torch.tensor((0.25, 0.75, 0.75, 0.25), dtype=weight.dtype, device=weight.device)
    kernel = taps
    for _ in range(weight.ndim - 3):
        kernel = kernel[..., None] * taps
    own = torch.eye(len(weight), dtype=weight.dtype, device=weight.device)
    return own.reshape(*own.shape, *(1,) * kernel.ndim) * kernel


def score_crops(depth: int, skips: int) -> list[int]:
    """Voxels to cut from each side of each level's scores, from the finest level on.

    >>> score_crops(4, 2)
    [17, 7]
    """
    crops = [2]
    while len(crops) <= skips:
        # The two convolutions, the crop of the deeper level, and the interpolation between them.
        crops.append(2 * crops[-1] + 3)
    return crops[:0:-1]
