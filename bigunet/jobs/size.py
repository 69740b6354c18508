"""How many jobs a script asks for, and what each needs: time, memory, cores, a signal in time."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bigunet.engine.clusters.job_memory import job_memory_mib
from bigunet.engine.clusters.worker_settings import THREADS_PER_WORKER
from bigunet.engine.runner import BLOCKS_PER_THREAD
from bigunet.errors import OptionError
from bigunet.jobs.duration import clock
from bigunet.jobs.pace import START_SECONDS, Pace
from bigunet.jobs.request import JobRequest

_MIB = 1 << 20
_HOUR = 3600
_DAY = 24 * _HOUR
_MOST_JOBS = {"array": 100, "dask": 8}
# A forecast may be wrong, and a job that ends early costs nothing.
_TIME_MARGIN = 2
_SHORTEST_SECONDS = 600
_STEP_SECONDS = 300
# After the signal, workers finish all blocks that they hold; half as much again is a margin.
_LEAD_BLOCKS = 1.5 * BLOCKS_PER_THREAD * THREADS_PER_WORKER
_LEAST_LEAD_SECONDS = 60
_UNKNOWN_LEAD_SECONDS = 300
# Slurm accepts no longer lead.
_MOST_LEAD_SECONDS = 65535
_MEMORY_STEP_MIB = 100
_USUAL_CPUS = 8
_CPUS_PER_GPU = 4


@dataclass(frozen=True, slots=True)
class JobSize:
    """What a script asks for.

    Parameters
    ----------
    jobs : int
        Number of jobs of an array, or of nodes.
    walltime_seconds, memory_mib, cpus : int
        Time, memory in MiB and cores of each job or node.
    lead_seconds : int
        How long before its end Slurm asks a job to stop.
    part_seconds : float, optional
        Seconds that each job or node will probably need; None if the pace is unknown.
    """

    jobs: int
    walltime_seconds: int
    memory_mib: int
    cpus: int
    lead_seconds: int
    part_seconds: float | None


def cpus_of(request: JobRequest, cores: int) -> int:
    """Cores of a job: as many as the user asks for, else a number that most nodes have."""
    if request.cpus:
        return request.cpus
    return request.gpus * _CPUS_PER_GPU or min(_USUAL_CPUS, cores)


def size_jobs(
    request: JobRequest, pace: Pace | None, *, blocks: int, limit_bytes: int, cpus: int
) -> JobSize:
    """Choose all numbers that the user leaves open.

    Parameters
    ----------
    request : JobRequest
    pace : Pace, optional
        None if it is unknown.
    blocks : int
        Number of blocks of the image.
    limit_bytes : int
        The memory that bigunet may use in a job.
    cpus : int
        Cores of a job.

    Raises
    ------
    OptionError
        If the wishes contradict each other, or too little is known for a choice.
    """
    jobs = _num_jobs(request, pace, blocks)
    part = None if pace is None else pace.part_seconds(jobs, blocks=blocks)
    lead = _lead_seconds(pace, math.ceil(blocks / jobs))
    # A shorter job would be asked to stop before its first block is done, again and again.
    first = START_SECONDS if pace is None else pace.start_seconds + pace.block_seconds
    least = lead + math.ceil(first)
    memory = request.memory_bytes // _MIB or job_memory_mib(limit_bytes)
    if job_memory_mib(limit_bytes) > memory + _MEMORY_STEP_MIB:
        raise OptionError(
            f"--memory-limit {limit_bytes / 1e9:.2g} GB does not fit into --memory "
            f"{request.memory_bytes / 1e9:.2g} GB, because Slurm counts more than that limit; give "
            "only one of the two"
        )
    return JobSize(
        jobs=jobs,
        walltime_seconds=_walltime_seconds(request, part, least),
        memory_mib=memory,
        cpus=cpus,
        lead_seconds=lead,
        part_seconds=part,
    )


def _num_jobs(request: JobRequest, pace: Pace | None, blocks: int) -> int:
    if request.jobs:
        if request.jobs > blocks:
            raise OptionError(
                f"--jobs {request.jobs}: there are {blocks} blocks to share; give fewer jobs or a "
                "smaller --block-shape"
            )
        return request.jobs
    if pace is None:
        raise OptionError("the time is not known here: give the number of jobs with --jobs N")
    if not request.within_seconds:
        return max(1, min(math.ceil(pace.work_seconds / _HOUR), blocks, _MOST_JOBS[request.way]))
    left = request.within_seconds - pace.start_seconds
    jobs = math.ceil(pace.work_seconds / left) if left > 0 else blocks + 1
    while jobs <= blocks and pace.part_seconds(jobs, blocks=blocks) > request.within_seconds:
        jobs += 1
    if jobs > blocks:
        shortest = math.ceil(pace.part_seconds(blocks, blocks=blocks))
        raise OptionError(
            f"--within {clock(request.within_seconds)}: a job for each of the {blocks} blocks "
            f"takes {clock(shortest)} ({pace.origin}); give more time, cores or GPUs, or a smaller "
            "--block-shape"
        )
    return jobs


def _lead_seconds(pace: Pace | None, blocks: int) -> int:
    if pace is None:
        return _UNKNOWN_LEAD_SECONDS
    lead = math.ceil(min(_LEAD_BLOCKS, 1.5 * blocks) * pace.block_seconds)
    return min(max(_LEAST_LEAD_SECONDS, lead), _MOST_LEAD_SECONDS)


def _walltime_seconds(request: JobRequest, part: float | None, least: int) -> int:
    if request.walltime_seconds:
        if request.walltime_seconds <= least:
            raise OptionError(
                f"--walltime {clock(request.walltime_seconds)}: the start, one block and the end "
                f"take {clock(least)}; give more, or a smaller --block-shape"
            )
        return request.walltime_seconds
    if part is None:
        raise OptionError("the time is not known here: give --walltime or --hours")
    seconds = max(_SHORTEST_SECONDS, _TIME_MARGIN * part + least)
    # A job that needs more than a day is queued again, and continues.
    seconds = max(min(seconds, _DAY), 2 * least)
    return math.ceil(seconds / _STEP_SECONDS) * _STEP_SECONDS
