"""Receptive-field arithmetic: how much context a network needs, and which sizes it accepts.

This module computes with layers' sizes alone. ``bigunet.model.probing.probe`` measures the same
for any module.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from bigunet.errors import ModelError
from bigunet.geometry import Point, ceil_div, round_up


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of a chain, the same along every axis.

    Parameters
    ----------
    kind : {"conv", "pool", "up"}
        A valid convolution with stride 1, a pooling, or an up-convolution. The stride of the last
        two is their size.
    size : int
        Kernel size in voxels.
    """

    kind: Literal["conv", "pool", "up"]
    size: int


@dataclass(frozen=True, slots=True)
class ReceptiveField:
    """What a network needs around an output voxel, per spatial axis, in voxels.

    The input is larger than the output by ``halo`` on each side. The network returns scores for
    its input without ``border`` on each side. The outer ``halo - border`` voxels of the scores are
    dropped, because padding inside the network has reached them::

        |<----------------- input tile ------------------>|
        |<-border->|<--------- scores --------->|<-border->|
        |<------ halo ------>|<-- output -->|<--- halo ---->|

    Parameters
    ----------
    stride : tuple of int
        A shift of the input by a multiple of the stride shifts the scores by the same; no other
        shift does.
    border : tuple of int
        Voxels by which the scores are smaller than the input, on each side: 92 for the network of
        Ronneberger et al. 2015, doi:10.1007/978-3-319-24574-4_28; 0 for zero-padded networks.
    halo : tuple of int
        Context on each side with which an output is exact, if tiles start at multiples of the
        stride.
    remainder : tuple of int
        An input size is valid if it leaves this remainder when it is divided by the stride.
    """

    stride: Point
    border: Point
    halo: Point
    remainder: Point

    def __post_init__(self) -> None:
        if not len(self.stride) == len(self.border) == len(self.halo) == len(self.remainder):
            raise ModelError(f"receptive field with axes of different number: {self}")
        if any(h < b for h, b in zip(self.halo, self.border)):
            raise ModelError(f"halo {self.halo} is smaller than the border {self.border}")

    @classmethod
    def of_chain(cls, layers: Sequence[Layer], *, ndim: int) -> ReceptiveField:
        """The field of a chain of valid layers, such as a U-Net's deepest path.

        Raises
        ------
        ModelError
            If the output's voxels are not on the grid of the input's voxels, or lie between them.

        Examples
        --------
        >>> ReceptiveField.of_chain([Layer("conv", 3), Layer("conv", 3)], ndim=1)
        ReceptiveField(stride=(1,), border=(2,), halo=(2,), remainder=(0,))
        """
        stride = _stride(layers)
        # Sizes beyond the receptive field repeat with the stride, so one period is enough.
        first = round_up(input_extent(layers, 1), stride)
        size = next((n for n in range(first, first + stride) if _accepts(layers, n)), None)
        if size is None:
            raise ModelError(f"no input size passes the poolings of {list(layers)}")
        lost = size - output_size(layers, size)
        if lost % 2:
            raise ModelError(f"layers shrink the image by {lost} voxels, an odd number")
        values = (stride, lost // 2, lost // 2, size % stride)
        return cls(*((value,) * ndim for value in values))

    @property
    def ndim(self) -> int:
        return len(self.stride)

    def input_shape(self, output: Sequence[int]) -> Point:
        """Shape of the smallest valid input that gives an exact output of this shape or larger."""
        return tuple(
            n + 2 * h + (r - n - 2 * h) % s
            for n, h, r, s in zip(output, self.halo, self.remainder, self.stride)
        )

    def scores_shape(self, inputs: Sequence[int]) -> Point:
        """Shape of the scores that the network returns for a valid input."""
        return tuple(n - 2 * b for n, b in zip(inputs, self.border))

    def check_input(self, shape: Sequence[int]) -> None:
        """Raise ModelError if this shape is no valid input; the message names the nearest ones."""
        for axis, n in enumerate(shape):
            step, rest = self.stride[axis], self.remainder[axis]
            if n % step != rest or n <= 2 * self.border[axis]:
                least = 2 * self.border[axis] + 1
                least += (rest - least) % step
                below = n - (n - rest) % step
                near = f"is {least}" if n < least else f"are {below} and {below + step}"
                raise ModelError(
                    f"an input of {tuple(shape)} cannot pass the poolings: axis {axis} takes "
                    f"sizes of {step}·k + {rest}, {least} at least; nearest to {n} {near}"
                )

    def with_leading_axes(self, count: int) -> ReceptiveField:
        """The same field after ``count`` further axes that the network does not see."""
        return ReceptiveField(
            stride=(1,) * count + self.stride,
            border=(0,) * count + self.border,
            halo=(0,) * count + self.halo,
            remainder=(0,) * count + self.remainder,
        )


def output_size(layers: Iterable[Layer], size: int) -> int:
    """Size of the output for an input of ``size`` voxels along one axis."""
    for layer in layers:
        if layer.kind == "conv":
            size -= layer.size - 1
        elif layer.kind == "pool":
            size //= layer.size
        else:
            size *= layer.size
    return size


def input_extent(layers: Sequence[Layer], size: int) -> int:
    """Number of input voxels that ``size`` neighbouring outputs can depend on, at any phase."""
    for layer in reversed(layers):
        if layer.kind == "conv":
            size += layer.size - 1
        elif layer.kind == "pool":
            size *= layer.size
        else:
            size = ceil_div(size - 1, layer.size) + 1
    return size


def _stride(layers: Iterable[Layer]) -> int:
    """Spacing of the coarsest grid in the chain, in input voxels."""
    spacing = coarsest = 1
    for layer in layers:
        if layer.kind == "pool":
            spacing *= layer.size
            coarsest = math.lcm(coarsest, spacing)
        elif layer.kind == "up":
            if spacing % layer.size:
                raise ModelError(f"up-convolution by {layer.size} on a grid of {spacing} voxels")
            spacing //= layer.size
    if spacing != 1:
        raise ModelError(f"the output's voxels are {spacing} input voxels wide: not a segmentation")
    return coarsest


def _accepts(layers: Iterable[Layer], size: int) -> bool:
    """Whether the size at every pooling is a multiple of the pooling's size."""
    for layer in layers:
        if layer.kind == "pool" and size % layer.size:
            return False
        size = output_size((layer,), size)
        if size < 1:
            return False
    return True
