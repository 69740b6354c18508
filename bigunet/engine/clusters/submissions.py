"""Keeps what became of submitted jobs: their numbers, and why the batch system refused some."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from distributed import Client
from distributed.core import Status

_AGAIN_SECONDS = 30.0


@dataclass(slots=True)
class Submissions:
    """The submissions of one cluster of jobs.

    Parameters
    ----------
    num_open : int
        Number of submissions without an answer of the batch system.
    refusal : str
        The batch system's words at its last refusal; empty when it has since accepted a job.
    numbers : list of str
        Numbers of all jobs that it accepted.
    closed : set of str
        Numbers of the jobs that were cancelled here.
    over : bool
        Whether no further job may be submitted.
    """

    num_open: int = 0
    refusal: str = ""
    numbers: list[str] = field(default_factory=list)
    closed: set[str] = field(default_factory=set)
    over: bool = False

    @property
    def alive(self) -> list[str]:
        """Numbers of the jobs that were not cancelled here."""
        return sorted(set(self.numbers) - self.closed)

    @property
    def in_vain(self) -> bool:
        """Whether all jobs were refused, and no answer is open."""
        return bool(self.refusal) and not self.num_open and not self.alive


def watched(job_class: type, submissions: Submissions) -> Any:
    """A job class that records its submissions. A refused job is submitted again later."""

    async def start(self: Any) -> None:
        submissions.num_open += 1
        try:
            if submissions.over:
                raise RuntimeError("the run is over")
            await super(made, self).start()
            submissions.numbers.append(self.job_id)
            submissions.refusal = ""
        except (OSError, RuntimeError, ValueError) as error:
            # A raised error would only be logged, and the job would count as waiting.
            submissions.refusal = _reason(error)
            self.status = Status.running
            asyncio.get_running_loop().call_later(_AGAIN_SECONDS, _forget, self)
        finally:
            submissions.num_open -= 1

    async def close(self: Any) -> None:
        await super(made, self).close()
        self.status = Status.closed
        if self.job_id:
            submissions.closed.add(self.job_id)

    made: Any = type(job_class.__name__, (job_class,), {"start": start, "close": close})
    return made


def last_refusal(client: Client) -> str:
    """The batch system's words at its last refusal; empty if it has since accepted a job."""
    submissions = getattr(client.cluster, "submissions", None)
    return submissions.refusal if isinstance(submissions, Submissions) else ""


def _forget(job: Any) -> None:
    """Remove a refused job, so that the cluster submits another one."""
    known = getattr(job, "_cluster", None)
    if known is None:
        # Other jobs of the same submission have no answer yet.
        asyncio.get_running_loop().call_later(_AGAIN_SECONDS, _forget, job)
        return
    cluster = known()
    if cluster is not None and cluster.workers.get(job.name) is job:
        del cluster.workers[job.name]
        # A cluster can close only when each job that it made is closed.
        job.status = Status.closed


def _reason(error: Exception) -> str:
    """The batch system's own words in an error of dask-jobqueue."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = lines[lines.index("stderr:") + 1 :] if "stderr:" in lines else lines
    return " ".join(said) or type(error).__name__
