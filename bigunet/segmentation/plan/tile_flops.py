"""Operations of many tiles from a few counts: a count of a module of unknown inside takes 5 ms."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

from bigunet.geometry import Point
from bigunet.receptive import ReceptiveField

Flops = Callable[[Point], int | None]
_STRIDES = 5
_TOLERANCE = 1e-6


def interpolated(
    flops: Flops, field: ReceptiveField, largest: Point
) -> Callable[[Point], float | None]:
    """The operations for the spatial shape of an input, from counts at the corners of a box.

    The operations of a convolution are a product of one length per axis, and so are those of a
    network of convolutions a sum of such products: linear along each axis, on the sizes that the
    network takes. Two more counts check it. If they differ, each shape is counted.

    Parameters
    ----------
    flops : callable
        Counts the operations for a shape; None if they cannot be counted.
    field : ReceptiveField
        Of the network's axes.
    largest : tuple of int
        Shape that the largest tile keeps.
    """
    low = field.input_shape(tuple(_STRIDES * s for s in field.stride))
    high = field.input_shape(largest)
    if any(a >= b for a, b in zip(low, high)):
        return flops
    corners = list(itertools.product(*zip(low, high)))
    counted = {corner: flops(corner) for corner in corners}
    counts = {corner: count for corner, count in counted.items() if count is not None}
    if len(counts) < len(counted):
        return flops

    def linear(shape: Point) -> float:
        weights = [
            (corner, [_weight(n, c, a, b) for n, c, a, b in zip(shape, corner, low, high)])
            for corner in corners
        ]
        return sum(math.prod(of_axes) * counts[corner] for corner, of_axes in weights)

    middle = field.input_shape(tuple(max(s, n // 3) for s, n in zip(field.stride, largest)))
    for shape in (middle, field.input_shape(field.stride)):
        count = flops(shape)
        if count is None or abs(count - linear(shape)) > _TOLERANCE * counts[corners[-1]]:
            return flops
    return linear


def _weight(size: int, corner: int, low: int, high: int) -> float:
    """Weight of a corner for a size along one axis, 1 at the corner and 0 at the other."""
    other = low if corner == high else high
    return (size - other) / (corner - other)
