"""Which tiles cost least: all ways to cut a block into equal tiles, weighed by operations.

Pure arithmetic. How fast a tile of some size runs, and what memory it takes, is told by callers.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

from bigunet.errors import GeometryError
from bigunet.geometry import Box, Point, ceil_div, round_up
from bigunet.receptive import ReceptiveField

# Tiles along an axis that are tried; beyond it each further one changes little, and the number
# of combinations is the product over the axes.
_MOST_TILES = {1: 256, 2: 64, 3: 24}


@dataclass(frozen=True, slots=True)
class TileCost:
    """What it costs to cut a block into tiles of one shape.

    Parameters
    ----------
    tile : tuple of int
        What a tile keeps, in whole strides: a tile shape as ``bigunet.tiling`` takes it.
    input : tuple of int
        What the network reads for it.
    count : int
        Tiles of the block.
    cost : float
        Of all of them, in the unit of the cost of one.
    memory_bytes : int
        Of one forward pass.
    """

    tile: Point
    input: Point
    count: int
    cost: float
    memory_bytes: int


def tile_costs(
    field: ReceptiveField,
    block: Box,
    *,
    cost: Callable[[Point], float],
    memory_bytes: Callable[[Point], int],
    limit_bytes: int,
) -> list[TileCost]:
    """Ways to cut a block into tiles that fit the memory, the cheapest first.

    Parameters
    ----------
    field : ReceptiveField
        Of the network; axes that it does not see have stride 1 and no halo, and take one voxel.
    block : Box
    cost : callable
        Of one forward pass, from the shape that the network reads: seconds, or operations.
    memory_bytes : callable
        Of one forward pass, likewise.
    limit_bytes : int

    Returns
    -------
    list of TileCost
        Never empty: where nothing fits, the smallest tile alone.

    Raises
    ------
    GeometryError
        If the block is empty, or has other axes than the network.
    """
    if block.ndim != field.ndim or not block.size:
        raise GeometryError(f"{block} cannot be cut into tiles of a network of {field.ndim} axes")
    found = []
    for ways in itertools.product(*_ways(field, block)):
        tile, counts = tuple(step for step, _ in ways), (count for _, count in ways)
        read, count = field.input_shape(tile), math.prod(counts)
        found.append(TileCost(tile, read, count, count * cost(read), memory_bytes(read)))
    fitting = [f for f in found if f.memory_bytes <= limit_bytes]
    smallest = min(found, key=lambda f: (f.memory_bytes, f.cost))
    return sorted(fitting, key=lambda f: (f.cost, f.memory_bytes)) or [smallest]


def _ways(field: ReceptiveField, block: Box) -> list[list[tuple[int, int]]]:
    """For each axis, the extents that divide it into 1, 2, 3, ... equal parts, and how many."""
    seen = [stride > 1 or halo > 0 for stride, halo in zip(field.stride, field.halo)]
    most = _MOST_TILES[max(1, min(3, sum(seen)))]
    ways = []
    for axis, stride in enumerate(field.stride):
        start, stop = block.start[axis], block.stop[axis]
        extent = stop - (start - start % stride)
        if not seen[axis]:
            ways.append([(1, extent)])
            continue
        parts = range(1, min(most, ceil_div(extent, stride)) + 1)
        steps = sorted({round_up(ceil_div(extent, n), stride) for n in parts}, reverse=True)
        ways.append([(step, ceil_div(extent, step)) for step in steps])
    return ways
