"""Which tiles cost least: compares all ways to cut a block into equal tiles.

The caller gives the cost and the memory of a forward pass for each tile size.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

from bigunet.errors import GeometryError
from bigunet.geometry import Box, Point, ceil_div, round_up
from bigunet.receptive import ReceptiveField

# The largest number of tiles along an axis, by the number of axes. A larger one changes the cost
# little, and the number of combinations is the product over the axes.
_MOST_TILES = {1: 256, 2: 64, 3: 24}


@dataclass(frozen=True, slots=True)
class TileCost:
    """The cost of a block that is cut into tiles of one shape.

    Parameters
    ----------
    tile : tuple of int
        Shape that a tile keeps, in whole strides: the tile shape of ``bigunet.tiling``.
    input : tuple of int
        Shape that the network reads for a tile.
    count : int
        Number of tiles of the block.
    cost : float
        Cost of all tiles together, in the unit in which the caller gave the cost of one.
    memory_bytes : int
        Memory of one forward pass.
    slab : int
        Planes that a pass takes at a time; 0 if it takes the tile at once.
    """

    tile: Point
    input: Point
    count: int
    cost: float
    memory_bytes: int
    slab: int = 0


def tile_costs(
    field: ReceptiveField,
    block: Box,
    *,
    cost: Callable[[Point], float],
    memory_bytes: Callable[[Point], int],
    limit_bytes: int,
    num_seen: int | None = None,
) -> list[TileCost]:
    """All ways to cut a block into tiles that fit the memory, the cheapest first.

    Parameters
    ----------
    field : ReceptiveField
        Receptive field of the network.
    block : Box
    cost : callable
        Gives the cost of one forward pass, in seconds or operations, for the shape that the
        network reads.
    memory_bytes : callable
        Gives the memory of one forward pass for that shape.
    limit_bytes : int
        The largest memory of a forward pass.
    num_seen : int, optional
        Number of the last axes that the network sees; by default all. Along the others, a tile has
        one voxel.

    Returns
    -------
    list of TileCost
        If no tile fits, this has the smallest one alone; it is never empty.

    Raises
    ------
    GeometryError
        If the block is empty, or has not as many axes as the network.
    """
    if block.ndim != field.ndim or not block.size:
        raise GeometryError(f"{block} cannot be cut into tiles of a network of {field.ndim} axes")
    choices = []
    num_seen = field.ndim if num_seen is None else num_seen
    for ways in itertools.product(*_ways(field, block, num_seen)):
        tile, counts = tuple(step for step, _ in ways), (count for _, count in ways)
        read, count = field.input_shape(tile), math.prod(counts)
        choices.append(TileCost(tile, read, count, count * cost(read), memory_bytes(read)))
    fitting = [choice for choice in choices if choice.memory_bytes <= limit_bytes]
    smallest = min(choices, key=lambda choice: (choice.memory_bytes, choice.cost))
    return sorted(fitting, key=lambda choice: (choice.cost, choice.memory_bytes)) or [smallest]


def _ways(field: ReceptiveField, block: Box, num_seen: int) -> list[list[tuple[int, int]]]:
    """For each axis, pairs of the length and the number of equal parts: 1, 2, 3, ... parts."""
    most = _MOST_TILES[max(1, min(3, num_seen))]
    ways = []
    for axis, stride in enumerate(field.stride):
        start, stop = block.start[axis], block.stop[axis]
        extent = stop - (start - start % stride)
        if axis < field.ndim - num_seen:
            ways.append([(1, extent)])
            continue
        parts = range(1, min(most, ceil_div(extent, stride)) + 1)
        steps = sorted({round_up(ceil_div(extent, n), stride) for n in parts}, reverse=True)
        ways.append([(step, ceil_div(extent, step)) for step in steps])
    return ways
