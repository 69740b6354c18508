"""What became of the jobs that were submitted: their numbers, and what the batch system refused."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from distributed import Client
from distributed.core import Status

_AGAIN_SECONDS = 30.0


@dataclass(slots=True)
class Submissions:
    """Of one cluster of jobs.

    Parameters
    ----------
    num_open : int
        That the batch system has not answered yet.
    refusal : str
        What it said when it last refused one; empty once it has taken another.
    numbers : list of str
        Of all that it took.
    closed : set of str
        Those of them that were cancelled.
    over : bool
        Whether no further one is to be submitted.
    """

    num_open: int = 0
    refusal: str = ""
    numbers: list[str] = field(default_factory=list)
    closed: set[str] = field(default_factory=set)
    over: bool = False

    @property
    def alive(self) -> list[str]:
        """Numbers of those that were not cancelled here."""
        return sorted(set(self.numbers) - self.closed)

    @property
    def in_vain(self) -> bool:
        """Whether jobs were refused, and there is none, nor an answer to come."""
        return bool(self.refusal) and not self.num_open and not self.alive


def watched(job_class: type, submissions: Submissions) -> Any:
    """A job class that takes note of what becomes of it; one that is refused is tried again."""

    async def start(self: Any) -> None:
        submissions.num_open += 1
        try:
            if submissions.over:
                raise RuntimeError("the run is over")
            await super(made, self).start()
            submissions.numbers.append(self.job_id)
            submissions.refusal = ""
        except (OSError, RuntimeError, ValueError) as error:
            # Raised, it would end in a log, and the job would count as one that waits.
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
    """What the batch system said when it last refused a job; empty if it took one since."""
    submissions = getattr(client.cluster, "submissions", None)
    return submissions.refusal if isinstance(submissions, Submissions) else ""


def _forget(job: Any) -> None:
    """Let the cluster see that it lacks a job."""
    known = getattr(job, "_cluster", None)
    if known is None:
        # Others that were submitted with it have not been answered yet.
        asyncio.get_running_loop().call_later(_AGAIN_SECONDS, _forget, job)
        return
    cluster = known()
    if cluster is not None and cluster.workers.get(job.name) is job:
        del cluster.workers[job.name]
        # A cluster that closes wants all that it ever made to be so.
        job.status = Status.closed


def _reason(error: Exception) -> str:
    """What the batch system said, out of all that dask-jobqueue tells."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = lines[lines.index("stderr:") + 1 :] if "stderr:" in lines else lines
    return " ".join(said) or type(error).__name__
