"""How a U-Net is swept over a tile, in numbers: planes of each step, and the most values held.

``bigunet.model.inference.sweep`` does what this module reckons.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from bigunet.model.networks.network import less
from bigunet.model.networks.unet import UNetConfig, skip_crops


@dataclass(frozen=True, slots=True)
class LevelPlanes:
    """The most planes that one level of a swept U-Net holds.

    Parameters
    ----------
    down, up : int
        The most planes that enter the level in one step, in the contracting and in the expanding
        path. The coarsest level has no expanding path, so that ``up`` is 0.
    waiting : int
        The most planes of the skip connection that wait for the expanding path.
    """

    down: int
    up: int
    waiting: int


@lru_cache(maxsize=4096)
def level_planes(depth: int, planes: int, slab: int) -> tuple[LevelPlanes, ...]:
    """The most planes of each level, from the top level down.

    Parameters
    ----------
    depth : int
        Number of poolings.
    planes : int
        Planes of the input; a valid size.
    slab : int
        Planes of the input that one step takes; the last step takes the rest.

    Examples
    --------
    With slabs of one stride, a level takes equally many planes in each step.

    >>> [one.down for one in level_planes(3, 600, 8)]
    [8, 4, 2, 1]
    """
    crops = skip_crops(depth)
    ends = _counts(depth, planes)
    most = [LevelPlanes(0, 0, 0)] * (depth + 1)
    before = _counts(depth, 0)
    for pushed in (*range(slab, planes, slab), planes):
        now = _counts(depth, pushed)
        for level in range(depth + 1):
            waiting = 0
            if level < depth:
                stored = min(now[level].scanned - crops[level], ends[level].up)
                waiting = max(0, stored) - before[level].up
            most[level] = LevelPlanes(
                max(most[level].down, now[level].down - before[level].down),
                max(most[level].up, now[level].up - before[level].up),
                max(most[level].waiting, waiting),
            )
        before = now
    return tuple(most)


def swept_activations(config: UNetConfig, shape: Sequence[int], slab: int) -> int:
    """The most values that a sweep holds at a time, as an upper bound.

    Parameters
    ----------
    config : UNetConfig
    shape : sequence of int
        Spatial shape of the input. The sweep goes along its first axis.
    slab : int
        Planes of the input that one step takes.
    """
    levels = level_planes(config.depth, shape[0], slab)
    areas = _areas(config.depth, shape[1:])
    held, largest, inputs = 0, 0, config.in_channels
    for level, (planes, (down, up)) in enumerate(zip(levels, areas)):
        channels = config.width * 2**level
        kept, most = _of_block(planes.down, inputs, channels, down)
        held += kept
        if level < config.depth:
            waiting = planes.waiting * channels * math.prod(up)
            joined, most_joined = _of_block(planes.up, 2 * channels, channels, up)
            pooled, most_pooled = _of_pooling(planes.down, channels, less(down, 4))
            held += waiting + joined + pooled
            most = max(most, most_joined, most_pooled, planes.up * channels * math.prod(up))
        largest = max(largest, most)
        inputs = channels
    return held + largest


def _of_block(planes: int, inputs: int, channels: int, plane: Sequence[int]) -> tuple[int, int]:
    """Values of two convolutions that stay between steps, and the most in a step besides."""
    whole, outer, inner = (math.prod(less(plane, n)) for n in (0, 2, 4))
    lines = (planes + 2) * (inputs * whole + channels * outer)
    # What goes in from the other level, and what goes out, while another level computes.
    passing = planes * (inputs * whole + channels * inner)
    first = planes * channels * outer + 2 * inputs * whole
    second = planes * channels * inner + 2 * channels * outer
    return lines + passing, max(first, second)


def _of_pooling(planes: int, channels: int, plane: Sequence[int]) -> tuple[int, int]:
    """Values that a pooling keeps between steps, and the most in a step besides."""
    area = channels * math.prod(plane)
    maxima = planes * area + planes * area // 2 + planes * area // 4
    # An odd number of planes is joined with one that was kept.
    return area, maxima + (planes + 1) * area * (planes % 2)


@dataclass(frozen=True, slots=True)
class _Counts:
    """Planes of one level since the start: entered, scanned by its convolutions, and from below."""

    down: int
    scanned: int
    up: int


def _counts(depth: int, pushed: int) -> list[_Counts]:
    """The planes of each level once ``pushed`` planes of the input have come."""
    down, entered = [], pushed
    for _ in range(depth + 1):
        down.append(entered)
        entered = max(0, entered - 4) // 2
    ups, below = [0], max(0, down[-1] - 4)
    for _ in range(depth):
        ups.append(2 * below)
        below = max(0, 2 * below - 4)
    return [_Counts(n, max(0, n - 4), up) for n, up in zip(down, reversed(ups))]


def _areas(depth: int, plane: Sequence[int]) -> list[tuple[Sequence[int], Sequence[int]]]:
    """For each level, the shapes of a plane that enters from above, and of one from below."""
    downs = [tuple(plane)]
    for _ in range(depth):
        downs.append(tuple(n // 2 for n in less(downs[-1], 4)))
    ups: list[tuple[int, ...]] = [()]
    below = less(downs[-1], 4)
    for _ in range(depth):
        ups.append(tuple(2 * n for n in below))
        below = less(ups[-1], 4)
    return list(zip(downs, reversed(ups)))
