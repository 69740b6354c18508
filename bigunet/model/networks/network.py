"""What every network here offers, and what their configurations share.

Which networks there are is ``bigunet.model.networks.architectures``'s to say.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import Field
from typing import Any, ClassVar, Protocol, Self

from torch import nn

from bigunet.errors import ModelError
from bigunet.model.brief import brief
from bigunet.receptive import ReceptiveField

# Channels, classes, or units: far beyond any use, and far from the end of 64 bits.
MOST = 65_536
CONV = {2: nn.Conv2d, 3: nn.Conv3d}
NORM = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
POOL = {2: nn.MaxPool2d, 3: nn.MaxPool3d}
UP = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
DROPOUT = {2: nn.Dropout2d, 3: nn.Dropout3d}


class NetworkConfig(Protocol):
    """The numbers that make a network: a frozen dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def ndim(self) -> int:
        """Spatial axes."""

    @property
    def in_channels(self) -> int:
        """Channels read."""

    @property
    def classes(self) -> int:
        """Scores given per voxel."""

    def activations(self, shape: Sequence[int]) -> int:
        """Numbers that a forward pass on an input of ``shape`` holds at its peak."""

    @classmethod
    def from_dict(cls, numbers: Mapping[str, Any]) -> Self:
        """The configuration written by :meth:`to_dict`; ModelError where it is none."""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""

    def receptive_field(self) -> ReceptiveField:
        """Halo, border, stride and valid sizes, by arithmetic."""

    def flops(self, shape: Sequence[int]) -> int:
        """Operations of one forward pass on an input of ``shape``; multiply and add are two."""


class Network(nn.Module):
    """A network that knows the numbers it was made of.

    Its ``forward`` maps an image (n, channel, *space) of a valid size to scores
    (n, class, *inner), before the softmax.
    """

    config: NetworkConfig

    def initialise(self) -> Self:
        """Draw weights: Gaussian of deviation sqrt(2/N), N incoming nodes; biases are 0.

        References
        ----------
        He et al., ICCV 2015, doi:10.1109/ICCV.2015.123; so the U-Net paper draws them, too.
        """
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        return self


class ConvBlock(nn.Sequential):
    """Two valid 3-wide convolutions, each followed by batch normalisation (if any) and ReLU."""

    def __init__(self, in_channels: int, out_channels: int, *, ndim: int, batch_norm: bool) -> None:
        layers: list[nn.Module] = []
        for channels in (in_channels, out_channels):
            layers.append(CONV[ndim](channels, out_channels, 3, bias=not batch_norm))
            if batch_norm:
                layers.append(NORM[ndim](out_channels))
            layers.append(nn.ReLU(inplace=True))
        super().__init__(*layers)


def block_flops(shape: Sequence[int], inputs: int, outputs: int) -> int:
    """Operations of a :class:`ConvBlock` on ``shape`` voxels."""
    first, second = math.prod(less(shape, 2)), math.prod(less(shape, 4))
    taps: int = 2 * 3 ** len(shape) * outputs
    return taps * (inputs * first + outputs * second)


def check_numbers(
    config: object, network: str, *, axes: Sequence[int], atleast: Mapping[str, int], depth: int
) -> None:
    """Raise ModelError for the first number that makes no network; whole ones become ``int``.

    Parameters
    ----------
    config : a frozen dataclass
        Has ``ndim``, ``depth``, ``dropout`` and the names in ``atleast``.
    network : str
        What messages call it: "a U-Net".
    axes : sequence of int
        Numbers of spatial axes that it can have.
    atleast : mapping
        The least value of each whole number but ``ndim`` and ``depth``.
    depth : int
        The most poolings.
    """
    for name in ("ndim", "depth", *atleast):
        value = getattr(config, name)
        try:
            object.__setattr__(config, name, operator.index(value))
        except TypeError as error:
            raise ModelError(f"{name} is {brief(value)}; give a whole number") from error
    numbers = {name: getattr(config, name) for name in ("ndim", "depth", "dropout", *atleast)}
    if numbers["ndim"] not in axes:
        known = " or ".join(map(str, axes))
        raise ModelError(
            f"ndim is {brief(numbers['ndim'])}; {network} here has {known} spatial axes"
        )
    if not 1 <= numbers["depth"] <= depth:
        raise ModelError(f"depth is {brief(numbers['depth'])}; give 1 to {depth}")
    for name, least in atleast.items():
        if numbers[name] < least:
            raise ModelError(f"{name} is {brief(numbers[name])}; give at least {least}")
        if numbers[name] > MOST:
            raise ModelError(f"{name} is {brief(numbers[name])}; give at most {MOST}")
    share = numbers["dropout"]
    if not isinstance(share, (int, float)) or not 0 <= share < 1:
        raise ModelError(f"dropout is {brief(share)}; give a share from 0 to below 1")
    batch_norm = getattr(config, "batch_norm", False)
    if not isinstance(batch_norm, (bool, int)):
        raise ModelError(f"batch_norm is {brief(batch_norm)}; give true or false")


def less(shape: Sequence[int], lost: int) -> tuple[int, ...]:
    """A shape after a valid convolution that loses ``lost`` voxels along each axis."""
    return tuple(n - lost for n in shape)
