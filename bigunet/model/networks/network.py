"""What all networks here have in common: base class, configuration protocol, layers, checks.

``bigunet.model.networks.architectures`` lists the networks.
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

# The largest number of channels, classes or units: more than anyone needs, and safe in 64 bits.
MOST = 65_536
CONV = {2: nn.Conv2d, 3: nn.Conv3d}
NORM = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
POOL = {2: nn.MaxPool2d, 3: nn.MaxPool3d}
UP = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
DROPOUT = {2: nn.Dropout2d, 3: nn.Dropout3d}


class NetworkConfig(Protocol):
    """The numbers of a network, as a frozen dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def ndim(self) -> int:
        """Number of spatial axes."""

    @property
    def in_channels(self) -> int:
        """Number of channels of the input."""

    @property
    def classes(self) -> int:
        """Number of scores per voxel."""

    def activations(self, shape: Sequence[int]) -> int:
        """Number of values that a forward pass on an input of ``shape`` holds at its peak."""

    @classmethod
    def from_dict(cls, numbers: Mapping[str, Any]) -> Self:
        """The configuration written by :meth:`to_dict`; ModelError if it is not one."""

    def to_dict(self) -> dict[str, Any]:
        """The configuration as plain data for JSON."""

    def receptive_field(self) -> ReceptiveField:
        """Halo, border, stride and valid sizes, computed from the layers."""

    def flops(self, shape: Sequence[int]) -> int:
        """Number of operations of one forward pass on an input of ``shape``.

        A multiplication and an addition count as two.
        """


class Network(nn.Module):
    """A network with its configuration.

    Its ``forward`` maps an image (n, channel, *space) of a valid size to scores
    (n, class, *inner), before the softmax.
    """

    config: NetworkConfig

    def initialise(self) -> Self:
        """Draw weights from a Gaussian of deviation sqrt(2/N) for N incoming nodes; biases are 0.

        References
        ----------
        He et al., ICCV 2015, doi:10.1109/ICCV.2015.123, as in the U-Net paper.
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
    """Number of operations of a :class:`ConvBlock` on ``shape`` voxels."""
    first, second = math.prod(less(shape, 2)), math.prod(less(shape, 4))
    taps: int = 2 * 3 ** len(shape) * outputs
    return taps * (inputs * first + outputs * second)


def check_numbers(
    config: object, network: str, *, axes: Sequence[int], atleast: Mapping[str, int], depth: int
) -> None:
    """Raise ModelError for the first number out of its range; whole numbers become ``int``.

    Parameters
    ----------
    config : a frozen dataclass
        It has the fields ``ndim``, ``depth``, ``dropout`` and those in ``atleast``.
    network : str
        The name of the network in messages: "a U-Net".
    axes : sequence of int
        The possible numbers of spatial axes.
    atleast : mapping
        The smallest value of each whole number except ``ndim`` and ``depth``.
    depth : int
        The largest number of poolings.
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
