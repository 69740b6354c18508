"""How far a stage is, in a bounded number of values: what the dashboard's panel draws."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from bigunet.blocks import BlockGrid
from bigunet.engine.stage import Index, Result, Stage
from bigunet.events import BlockDone
from bigunet.geometry import Box, ceil_div

# A screen cannot show more cells than this distinctly.
_MOST_CELLS_PER_AXIS = 64
_MOST_SAMPLES = 240
# With only one block of each worker in a sample, the speed would jump.
_BLOCKS_PER_WORKER = 2

State = dict[str, Any]


class BlockMap:
    """A map of the blocks done. Each cell counts the blocks of some rows and columns of the grid.

    The map has the grid's last two axes. Along the others, blocks are counted together.

    Parameters
    ----------
    grid : BlockGrid
    axes : tuple of str
        Names of the grid's axes.
    """

    def __init__(self, grid: BlockGrid, axes: tuple[str, ...]) -> None:
        # A grid of one axis is one row.
        self._shape = (1, *grid.shape)[-2:]
        self._depth = math.prod(grid.shape[:-2])
        self._steps = tuple(max(1, ceil_div(n, _MOST_CELLS_PER_AXIS)) for n in self._shape)
        self._cells = tuple(ceil_div(n, s) for n, s in zip(self._shape, self._steps))
        self._axes = ("", "", *axes)[-2:]
        self._extents = ((0, 1, 1), *_extents(grid))[-2:]
        self._done = [0] * math.prod(self._cells)

    def add(self, index: Index) -> None:
        """Count the block of an index."""
        row, column = (0, *index)[-2:]
        cell = (row // self._steps[0]) * self._cells[1] + column // self._steps[1]
        self._done[cell] += 1

    def add_numbers(self, numbers: Collection[int]) -> None:
        """Count blocks by their numbers in C order."""
        rows, columns = self._shape
        for number in numbers:
            self.add((number // columns % rows, number % columns))

    def to_dict(self) -> State:
        """Names of the axes, edges of the cells in voxels, and the share done of each cell.

        Shares are 0 to 1, row by row.
        """
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


def _extents(grid: BlockGrid) -> list[tuple[int, int, int]]:
    """Start, stop and size of a block, in voxels per axis."""
    return list(zip(grid.region.start, grid.region.stop, grid.block_shape))


def _edges(start: int, stop: int, block: int, step: int) -> list[int]:
    return [*range(start, stop, block * step), stop]


@dataclass(slots=True)
class SpeedSample:
    """What was done between two times.

    Parameters
    ----------
    begun, ended : float
        Times in seconds.
    blocks, voxels : int
    compute_seconds : float
        Time in which devices computed, all workers together.
    worker_seconds : float
        Time between the two, times the number of workers.
    """

    begun: float
    ended: float
    blocks: int = 0
    voxels: int = 0
    compute_seconds: float = 0.0
    worker_seconds: float = 0.0

    def join(self, later: SpeedSample) -> SpeedSample:
        return SpeedSample(
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
        """Share of the time in which devices computed, 0 to 1."""
        # A block that began before this sample counts with all of its time.
        return min(1.0, self.compute_seconds / max(self.worker_seconds, 1e-9))


class StageProgress:
    """How far a run and its present stage are. Its size does not grow with the number of blocks.

    Results may have ``voxels`` and ``compute_seconds``; missing ones count as 0. Only stages whose
    results have ``compute_seconds`` count for the speed over time: all others are much faster.

    Parameters
    ----------
    output : str
        Path or URL that the run writes.
    """

    def __init__(self, output: str) -> None:
        self._output = output
        self.num_workers = 1
        self._stage = ""
        self._totals: dict[str, SpeedSample] = {}
        self._samples: list[SpeedSample] = []
        self._open = SpeedSample(0, 0)
        self._seconds_per_sample = 1.0

    def begin(self, stage: Stage, num_done: int, done: Collection[int], now: float) -> None:
        """Begin a stage.

        Parameters
        ----------
        stage : Stage
        num_done : int
            Number of the stage's blocks that an earlier run has done.
        done : collection of int
            Numbers of all blocks on the grid that are done, also those of other parts.
        now : float
            Seconds of a clock that never goes back, as in all methods.
        """
        self._stage, self._num_blocks, self._num_done = stage.name, stage.num_blocks, num_done
        row_of_blocks = BlockGrid(Box((0,), (stage.num_blocks,)), (1,))
        self._map = BlockMap(stage.grid or row_of_blocks, stage.axes)
        self._map.add_numbers(done)
        if not self._totals:
            self._begun = now
        elif self._open.blocks:
            self._samples.append(self._open)
        self._open = self._totals[stage.name] = SpeedSample(now, now)

    def advance(self, event: BlockDone, now: float) -> None:
        """Count a block of the stage that was done."""
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
            self._open = SpeedSample(now, now)
            self._thin()

    @property
    def _total(self) -> SpeedSample:
        return self._totals[self._stage]

    def _thin(self) -> None:
        """Join pairs of samples when there are many, so that few samples cover a long time."""
        if len(self._samples) < _MOST_SAMPLES:
            return
        pairs = zip(self._samples[::2], self._samples[1::2])
        # The number of samples is odd where a stage ended.
        rest = self._samples[len(self._samples) // 2 * 2 :]
        self._samples = [*(first.join(second) for first, second in pairs), *rest]
        self._seconds_per_sample *= 2

    def to_dict(self) -> State:
        """Everything that the panel draws: numbers, names, and lists of a bounded length."""
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


def _done(result: Result, before: float, now: float, workers: int) -> SpeedSample:
    """The sample of one block and the time since the block before it."""
    return SpeedSample(
        begun=before,
        ended=now,
        blocks=1,
        voxels=result.get("voxels", 0),
        compute_seconds=result.get("compute_seconds", 0.0),
        worker_seconds=(now - before) * workers,
    )
