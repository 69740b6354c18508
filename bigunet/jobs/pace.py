"""How fast one job goes: from a forecast made here, or from what the user knows."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bigunet.jobs.request import JobRequest
from bigunet.segmentation.forecast import Forecast

# Loading libraries, a model and a worker from a shared file system.
START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Pace:
    """What one job or node takes for the whole image.

    Parameters
    ----------
    start_seconds : float
        Before its first block.
    work_seconds : float
        For all blocks.
    block_seconds : float
        Of one worker, for a whole block.
    told : str
        Where these come from, in a sentence for people.
    """

    start_seconds: float
    work_seconds: float
    block_seconds: float
    told: str

    @classmethod
    def foretold(cls, forecast: Forecast, request: JobRequest, *, cpus: int, cores: int) -> Pace:
        """From tiles that ran here, on all cores or, where the job has GPUs, on one of those here.

        Parameters
        ----------
        forecast : Forecast
        request : JobRequest
        cpus : int
            Of a job.
        cores : int
            That the forecast had.
        """
        here = f"{forecast.backend} in {forecast.precision}"
        if request.gpus:
            machines: float = request.gpus
            told = f"foretold from a few tiles on a GPU here ({here}): a node's may be another"
        else:
            machines = cpus / cores
            told = (
                f"foretold from a few tiles here ({here}, cores: {cores}), in proportion to "
                "cores: a node's may be faster or slower"
            )
        each = machines / request.processes
        return cls(
            start_seconds=START_SECONDS + forecast.start_seconds,
            work_seconds=(forecast.seconds - forecast.start_seconds) / machines,
            block_seconds=forecast.block_seconds / each,
            told=told,
        )

    @classmethod
    def given(cls, seconds: int, request: JobRequest, *, blocks: float) -> Pace:
        """From what the user says that the whole image takes; ``blocks`` are whole ones."""
        return cls(
            start_seconds=START_SECONDS,
            work_seconds=seconds,
            block_seconds=seconds * request.processes / max(1.0, blocks),
            told="from --hours",
        )

    def part_seconds(self, parts: int, *, blocks: int) -> float:
        """What one of several jobs takes, which cannot share a block."""
        return self.start_seconds + self.work_seconds * math.ceil(blocks / parts) / blocks
