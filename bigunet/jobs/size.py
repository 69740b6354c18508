"""How many jobs, and what each needs: time, memory, cores, and the signal before its end."""

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
# A forecast is no promise; a job that ends early costs nothing but its place in the queue.
_TIME_MARGIN = 2
_SHORTEST_SECONDS = 600
_STEP_SECONDS = 300
# What is asked to stop first finishes all that workers have, and no forecast is exact.
_LEAD_BLOCKS = 1.5 * BLOCKS_PER_THREAD * THREADS_PER_WORKER
_LEAST_LEAD_SECONDS = 60
_UNKNOWN_LEAD_SECONDS = 300
# Slurm takes no longer one.
_MOST_LEAD_SECONDS = 65535
_MEMORY_STEP_MIB = 100
_USUAL_CPUS = 8
_CPUS_PER_GPU = 4


@dataclass(frozen=True, slots=True)
class JobSize:
    """What the script asks for.

    Parameters
    ----------
    jobs : int
        Jobs of an array, or nodes.
    walltime_seconds, memory_mib, cpus : int
        Of each.
    lead_seconds : int
        Before the end, at which a job is asked to stop.
    part_seconds : float, optional
        What each is expected to take; None if nothing is known.
    """

    jobs: int
    walltime_seconds: int
    memory_mib: int
    cpus: int
    lead_seconds: int
    part_seconds: float | None


def cpus_of(request: JobRequest, cores: int) -> int:
    """Cores of a job: as asked for, or some that a node and this machine have."""
    if request.cpus:
        return request.cpus
    return request.gpus * _CPUS_PER_GPU or min(_USUAL_CPUS, cores)


def size_jobs(
    request: JobRequest, pace: Pace | None, *, blocks: int, limit_bytes: int, cpus: int
) -> JobSize:
    """Choose what was not asked for.

    Parameters
    ----------
    request : JobRequest
    pace : Pace, optional
        None if nothing is known of it.
    blocks : int
        Of the image.
    limit_bytes : int
        What bigunet takes of a job's memory.
    cpus : int
        Of a job.

    Raises
    ------
    OptionError
        If it cannot be, or too little is known to choose.
    """
    jobs = _num_jobs(request, pace, blocks)
    part = None if pace is None else pace.part_seconds(jobs, blocks=blocks)
    lead = _lead_seconds(pace, math.ceil(blocks / jobs))
    # Less would be asked to stop before it has done anything, again and again.
    first = START_SECONDS if pace is None else pace.start_seconds + pace.block_seconds
    least = lead + math.ceil(first)
    memory = request.memory_bytes // _MIB or job_memory_mib(limit_bytes)
    if job_memory_mib(limit_bytes) > memory + _MEMORY_STEP_MIB:
        raise OptionError(
            f"--memory-limit {limit_bytes / 1e9:.2g} GB does not fit into --memory "
            f"{request.memory_bytes / 1e9:.2g} GB with what Slurm counts beside it; give one of "
            "them"
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
        raise OptionError("how long it takes is not known here: say with --jobs N how many")
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
            f"takes {clock(shortest)} ({pace.told}); give more time, cores or GPUs, or a smaller "
            "--block-shape"
        )
    return jobs


def _lead_seconds(pace: Pace | None, blocks: int) -> int:
    if pace is None:
        return _UNKNOWN_LEAD_SECONDS
    wanted = math.ceil(min(_LEAD_BLOCKS, 1.5 * blocks) * pace.block_seconds)
    return min(max(_LEAST_LEAD_SECONDS, wanted), _MOST_LEAD_SECONDS)


def _walltime_seconds(request: JobRequest, part: float | None, least: int) -> int:
    if request.walltime_seconds:
        if request.walltime_seconds <= least:
            raise OptionError(
                f"--walltime {clock(request.walltime_seconds)}: starting, a block, and ending in "
                f"time take {clock(least)}; give more, or a smaller --block-shape"
            )
        return request.walltime_seconds
    if part is None:
        raise OptionError("how long it takes is not known here: give --walltime or --hours")
    wanted = max(_SHORTEST_SECONDS, _TIME_MARGIN * part + least)
    # What is not done by then goes on in a job that is queued again.
    wanted = max(min(wanted, _DAY), 2 * least)
    return math.ceil(wanted / _STEP_SECONDS) * _STEP_SECONDS
