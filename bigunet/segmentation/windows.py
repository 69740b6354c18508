"""Windows of an output that `verify` recomputes: most lie across seams, the others at the rim."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from bigunet.geometry import Box
from bigunet.segmentation.plan.segment_plan import SegmentPlan

_LENGTH = {2: 128, 3: 32}


def choose_windows(plan: SegmentPlan, count: int, seed: int) -> Iterator[Box]:
    """Random windows that start at multiples of the stride: three of four across seams.

    Parameters
    ----------
    plan : SegmentPlan
    count : int
    seed : int
        Of the random numbers.
    """
    chooser = random.Random(seed)
    seams, stride = _seams(plan), plan.tiling.field.stride
    for number in range(count):
        start, stop = [], []
        for axis, size in enumerate(plan.region.shape):
            low = plan.region.start[axis]
            if axis < plan.region.ndim - plan.network_axes:
                at, length = chooser.randrange(size), 1
            else:
                at_seam = bool(seams[axis]) and number % 4 != 3
                centre = chooser.choice(seams[axis] if at_seam else (0, size))
                length = min(_LENGTH[plan.network_axes], size)
                at = min(max(centre - length // 2, 0), size - length)
                at = max(0, at - (low + at) % stride[axis])
            start.append(low + at)
            stop.append(low + at + length)
        yield Box(tuple(start), tuple(stop))


def _seams(plan: SegmentPlan) -> list[Sequence[int]]:
    """Borders between blocks along each axis of the region; with one block, those between tiles."""
    grid, start = plan.grid, plan.region.start
    first = list(plan.tiling.tiles(grid.box((0,) * plan.region.ndim)))
    seams: list[Sequence[int]] = []
    for axis, (size, step) in enumerate(zip(plan.region.shape, grid.block_shape)):
        tiles = sorted({tile.output.start[axis] - start[axis] for tile in first})
        seams.append(range(step, size, step) if size > step else tiles[1:])
    return seams
