"""How fast one job segments the image: estimated by a forecast, or given by the user."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bigunet.jobs.request import JobRequest
from bigunet.segmentation.forecast import Forecast

# A job loads libraries, a model and a worker from a file system that many share.
START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Pace:
    """The time that one job, or one node, needs.

    Parameters
    ----------
    start_seconds : float
        Seconds before the first block.
    work_seconds : float
        Seconds for all blocks of the image.
    block_seconds : float
        Seconds that one worker needs for a whole block.
    origin : str
        Where these numbers come from, for people: "from --hours".
    """

    start_seconds: float
    work_seconds: float
    block_seconds: float
    origin: str

    @classmethod
    def estimated(cls, forecast: Forecast, request: JobRequest, *, cpus: int, cores: int) -> Pace:
        """The pace that follows from tiles that ran on this machine.

        They ran on all its cores or, where the job has GPUs, on one GPU.

        Parameters
        ----------
        forecast : Forecast
        request : JobRequest
        cpus : int
            Cores of a job.
        cores : int
            Cores that the forecast used.
        """
        here = f"{forecast.backend} in {forecast.precision}"
        if request.gpus:
            machines: float = request.gpus
            origin = (
                f"estimated from a few tiles on a GPU of this machine ({here}): the GPU of a node "
                "may be another one"
            )
        else:
            machines = cpus / cores
            origin = (
                f"estimated from a few tiles on this machine ({here}, cores: {cores}), in "
                "proportion to cores: a node may be faster or slower"
            )
        machines_per_worker = machines / request.processes
        return cls(
            start_seconds=START_SECONDS + forecast.start_seconds,
            work_seconds=(forecast.seconds - forecast.start_seconds) / machines,
            block_seconds=forecast.block_seconds / machines_per_worker,
            origin=origin,
        )

    @classmethod
    def given(cls, seconds: int, request: JobRequest, *, blocks: float) -> Pace:
        """The pace that follows from the user's own figure.

        Parameters
        ----------
        seconds : int
            Seconds that one job or node needs for the whole image.
        request : JobRequest
        blocks : float
            The size of the image, in whole blocks.
        """
        return cls(
            start_seconds=START_SECONDS,
            work_seconds=seconds,
            block_seconds=seconds * request.processes / max(1.0, blocks),
            origin="from --hours",
        )

    def part_seconds(self, parts: int, *, blocks: int) -> float:
        """Seconds that each of several jobs needs; two jobs never share one block."""
        return self.start_seconds + self.work_seconds * math.ceil(blocks / parts) / blocks
