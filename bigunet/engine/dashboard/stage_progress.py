"""How far a stage is, in few numbers however many its blocks: what the dashboard's panel draws."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from bigunet.engine.stage import BlockDone, Grid, Index, Result, Stage
from bigunet.geometry import Box, ceil_div

# More cells than these could not be told apart on a screen.
_MOST_CELLS_PER_AXIS = 64
_MOST_SAMPLES = 240
# One block of each worker alone would give a speed that jumps.
_BLOCKS_PER_WORKER = 2

State = dict[str, Any]


class BlockMap:
    """Blocks done, counted in cells that each stand for some rows and columns of the grid.

    All blocks of a column, along the other axes, are counted together.
    """

    def __init__(self, grid: Grid) -> None:
        # A grid of one axis is one row.
        self._shape = (1, *grid.shape)[-2:]
        self._depth = math.prod(grid.shape[:-2])
        self._steps = tuple(max(1, ceil_div(n, _MOST_CELLS_PER_AXIS)) for n in self._shape)
        self._cells = tuple(ceil_div(n, s) for n, s in zip(self._shape, self._steps))
        self._axes = ("", *grid.axes)[-2:]
        self._extents = ((0, 1, 1), *_extents(grid))[-2:]
        self._done = [0] * math.prod(self._cells)

    def add(self, index: Index) -> None:
        """Count a block at its place on the grid."""
        row, column = (0, *index)[-2:]
        cell = (row // self._steps[0]) * self._cells[1] + column // self._steps[1]
        self._done[cell] += 1

    def add_numbers(self, numbers: Collection[int]) -> None:
        """Count blocks by their numbers, which are in C order."""
        rows, columns = self._shape
        for number in numbers:
            self.add((number // columns % rows, number % columns))

    def to_dict(self) -> State:
        """Names, edges of the cells in voxels, and shares of blocks done, 0 to 1, row by row."""
        heights, widths = (
            [min(step, n - start) for start in range(0, n, step)]
            for n, step in zip(self._shape, self._steps)
        )
        totals = (self._depth * h * w for h in heights for w in widths)
        return {
            "axes": list(self._axes),
            "edges": [_edges(*extent, step) for extent, step in zip(self._extents, self._steps)],
            "shares": [round(done / total, 4) for done, total in zip(self._done, totals)],
        }


def _extents(grid: Grid) -> list[tuple[int, int, int]]:
    """Start, stop and block, per axis in voxels."""
    return list(zip(grid.region.start, grid.region.stop, grid.block_shape))


def _edges(start: int, stop: int, block: int, step: int) -> list[int]:
    return [*range(start, stop, block * step), stop]


@dataclass(slots=True)
class _Sample:
    """What was done in a stretch of time; ``worker_seconds`` is its length times the workers."""

    begun: float
    ended: float
    blocks: int = 0
    voxels: int = 0
    compute_seconds: float = 0.0
    worker_seconds: float = 0.0

    def join(self, later: _Sample) -> _Sample:
        return _Sample(
            self.begun,
            later.ended,
            self.blocks + later.blocks,
            self.voxels + later.voxels,
            self.compute_seconds + later.compute_seconds,
            self.worker_seconds + later.worker_seconds,
        )

    @property
    def speed(self) -> float:
        """Millions of voxels per second."""
        return self.voxels / 1e6 / max(self.ended - self.begun, 1e-9)

    @property
    def device_share(self) -> float:
        """Of the time in which devices computed; blocks begun before may make it too large."""
        return min(1.0, self.compute_seconds / max(self.worker_seconds, 1e-9))


class Progress:
    """How far a run is; its size does not grow with the number of blocks.

    Results may tell ``voxels`` and ``compute_seconds``; what they do not tell counts as 0. Speed
    over time is told of stages that tell the latter alone: others are faster by far.

    Parameters
    ----------
    output : str
        What the run writes.
    """

    def __init__(self, output: str) -> None:
        self._output = output
        self.num_workers = 1
        self._stage = ""
        self._totals: dict[str, _Sample] = {}
        self._samples: list[_Sample] = []
        self._open = _Sample(0, 0)
        self._seconds_per_sample = 1.0

    def begin(self, stage: Stage, num_done: int, done: Collection[int], now: float) -> None:
        """A stage begins, of whose blocks ``num_done`` were done before.

        Parameters
        ----------
        done : collection of int
            Numbers of all blocks on the grid that are done, those that others did included.
        now : float
            Seconds of a clock that only goes forward, as in all methods.
        """
        self._stage, self._num_blocks, self._num_done = stage.name, stage.num_blocks, num_done
        self._map = BlockMap(stage.grid or Grid(("",), Box((0,), (stage.num_blocks,)), (1,)))
        self._map.add_numbers(done)
        if not self._totals:
            self._begun = now
        elif self._open.blocks:
            self._samples.append(self._open)
        self._open = self._totals[stage.name] = _Sample(now, now)

    def advance(self, event: BlockDone, now: float) -> None:
        """A block of the stage was done."""
        self._map.add(event.index)
        self._num_done = event.num_done
        done = _done(event.result, self._total.ended, now, self.num_workers)
        self._totals[self._stage] = self._total.join(done)
        if "compute_seconds" not in event.result:
            return
        self._open = self._open.join(done)
        if (
            now - self._open.begun >= self._seconds_per_sample
            and self._open.blocks >= _BLOCKS_PER_WORKER * self.num_workers
        ):
            self._samples.append(self._open)
            self._open = _Sample(now, now)
            self._thin()

    @property
    def _total(self) -> _Sample:
        return self._totals[self._stage]

    def _thin(self) -> None:
        """Join samples two by two where they are many, so that they cover any length of time."""
        if len(self._samples) < _MOST_SAMPLES:
            return
        pairs = zip(self._samples[::2], self._samples[1::2])
        # One more than a multiple of two, at most, where a stage ended with it.
        rest = self._samples[len(self._samples) // 2 * 2 :]
        self._samples = [*(first.join(second) for first, second in pairs), *rest]
        self._seconds_per_sample *= 2

    def to_dict(self) -> State:
        """All there is to be drawn: numbers, names and lists of a bounded length."""
        if not self._stage:
            return {"output": self._output, "stage": ""}
        total = self._total
        seconds = total.ended - total.begun
        left = self._num_blocks - self._num_done
        return {
            "output": self._output,
            "stage": self._stage,
            "num_done": self._num_done,
            "num_blocks": self._num_blocks,
            "seconds_left": round(seconds / total.blocks * left, 1) if total.blocks else None,
            "speed": round(total.speed, 4) if total.blocks else None,
            "device_share": round(total.device_share, 4) if total.compute_seconds else None,
            "samples": {
                "seconds": [round(s.ended - self._begun, 2) for s in self._samples],
                "speed": [round(s.speed, 4) for s in self._samples],
                "device_share": [round(s.device_share, 4) for s in self._samples],
            },
            "map": self._map.to_dict(),
            "totals": {
                stage: {
                    "blocks": sample.blocks,
                    "voxels": sample.voxels,
                    "compute_seconds": round(sample.compute_seconds, 3),
                }
                for stage, sample in self._totals.items()
            },
        }


def _done(result: Result, before: float, now: float, workers: int) -> _Sample:
    """One block, and the time since the one before."""
    return _Sample(
        begun=before,
        ended=now,
        blocks=1,
        voxels=result.get("voxels", 0),
        compute_seconds=result.get("compute_seconds", 0.0),
        worker_seconds=(now - before) * workers,
    )
