"""Workers that are jobs of a batch system (Slurm, PBS, LSF, SGE, HTCondor, OAR), by dask-jobqueue.

What dask-jobqueue's own configuration says holds wherever the user gave nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask
from dask.utils import parse_timedelta
from distributed import Client
from distributed.core import Status

from bigunet.engine.clusters.interrupts import interrupts_blocked, undisturbed
from bigunet.engine.clusters.job_options import cluster_options, jobqueue
from bigunet.engine.clusters.spec import ClusterSpec
from bigunet.errors import ClusterError

logger = logging.getLogger(__name__)

_CLASSES = {
    "slurm": "SLURMCluster", "pbs": "PBSCluster", "lsf": "LSFCluster", "sge": "SGECluster",
    "htcondor": "HTCondorCluster", "oar": "OARCluster",
}  # fmt: skip
# Preempted jobs, and those at their walltime, are no sign of a block that kills its worker.
_ALLOWED_FAILURES = 10
_CLOSING_SECONDS = 60
_POLL_SECONDS = 0.2
# Batch systems do not like to be asked often.
_ASK_SECONDS = (5.0, 60.0)
_AGAIN_SECONDS = 30.0


@contextlib.contextmanager
def open_batch(spec: ClusterSpec, tell: Callable[[str], None]) -> Iterator[Client]:
    """A client whose workers are jobs, once the first is there; all are cancelled at the end.

    Jobs that are lost are replaced, as long as it is open.

    Raises
    ------
    ClusterError
        If jobs cannot be submitted, or all end before there is a worker.
    """
    failures: list[str] = []
    allowed = max(_ALLOWED_FAILURES, dask.config.get("distributed.scheduler.allowed-failures"))
    with dask.config.set({"distributed.scheduler.allowed-failures": allowed}):
        options = cluster_options(spec)
        cluster = _started(spec.kind, options, failures)
        try:
            with Client(cluster) as client:
                jobs = spec.workers or 1
                cluster.adapt(minimum_jobs=jobs, maximum_jobs=jobs)
                tell(f"waiting for the first of {_counted(jobs)} of {spec.kind}; what they print "
                     f"goes to {options['log_directory']}")  # fmt: skip
                _wait(client, cluster, failures, logs=options["log_directory"])
                yield client
        finally:
            with undisturbed():
                _close(cluster)


def _started(kind: str, options: dict[str, Any], failures: list[str]) -> Any:
    cluster_class = getattr(jobqueue(kind), _CLASSES[kind])
    try:
        Path(options["log_directory"]).mkdir(mode=0o700, parents=True, exist_ok=True)
        with interrupts_blocked():
            replacing = type(cluster_class.__name__, (_Replacing, cluster_class), {})
            return replacing(job_cls=_watched(cluster_class.job_cls, failures), **options)
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        raise ClusterError(
            f"cannot start a scheduler for jobs of {kind}: {error.__cause__ or error}"
        ) from error


class _Replacing:
    """Part of a cluster class: jobs of several workers are replaced, too, once all are lost."""

    def _update_worker_status(self: Any, op: str, message: Any) -> None:
        if op == "remove":
            worker = self.scheduler_info["workers"].get(message, {}).get("name", "")
            delay = parse_timedelta(dask.config.get("distributed.deploy.lost-worker-timeout"))
            self.loop.call_later(delay, self._replace, str(worker).rpartition("-")[0])
        super()._update_worker_status(op, message)  # type: ignore[misc]

    def _replace(self: Any, name: str) -> None:
        group = self.worker_spec.get(name, {}).get("group", ())
        there = {worker["name"] for worker in self.scheduler_info["workers"].values()}
        if name in self.workers and group and not there & {f"{name}{end}" for end in group}:
            self.loop.add_callback(self.workers.pop(name).close)


def _watched(job_class: type, failures: list[str]) -> Any:
    """A job class that says why it could not be submitted, and is then tried again."""

    async def start(self: Any) -> None:
        try:
            await super(watched, self).start()
        except (OSError, RuntimeError, ValueError) as error:
            # Raised, it would end in a log, and the job would count as one that waits.
            failures.append(_reason(error))
            self.status = Status.running
            asyncio.get_running_loop().call_later(_AGAIN_SECONDS, _forget, self)

    async def close(self: Any) -> None:
        await super(watched, self).close()
        self.status = Status.closed

    watched: Any = type(job_class.__name__, (job_class,), {"start": start, "close": close})
    return watched


def _forget(job: Any) -> None:
    """Let the cluster see that it lacks a job."""
    cluster = job._cluster()
    if cluster is not None and cluster.workers.get(job.name) is job:
        del cluster.workers[job.name]


def _reason(error: Exception) -> str:
    """What the batch system said, out of all that dask-jobqueue tells."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = lines[lines.index("stderr:") + 1 :] if "stderr:" in lines else lines
    return " ".join(said) or type(error).__name__


def _wait(client: Client, cluster: Any, failures: list[str], *, logs: str) -> None:
    """Wait for a worker, for hours where the queue is long, unless none can come any more."""
    pause = _ASK_SECONDS[0]
    ask = time.monotonic() + pause
    while not client.nthreads():
        if failures and not _numbers(cluster):
            raise ClusterError(f"jobs cannot be submitted: {failures[0]}")
        if time.monotonic() > ask:
            _check_jobs(cluster, logs)
            pause = min(2 * pause, _ASK_SECONDS[1])
            ask = time.monotonic() + pause
        time.sleep(_POLL_SECONDS)


def _check_jobs(cluster: Any, logs: str) -> None:
    """Raise if Slurm has none of the jobs any more: they ended, and no worker came."""
    numbers = _numbers(cluster)
    if not numbers or cluster.job_cls.submit_command != "sbatch":
        return
    told = subprocess.run(
        ["squeue", "--noheader", "--format=%i", f"--jobs={','.join(numbers)}"],
        capture_output=True, text=True,
    )  # fmt: skip
    ended = not told.stdout.strip() if told.returncode == 0 else "Invalid job id" in told.stderr
    if ended and numbers == _numbers(cluster):
        raise ClusterError(
            f"jobs {', '.join(numbers)} ended before a worker came: {_last_words(logs)}"
        )


def _last_words(logs: str) -> str:
    files = sorted(Path(logs).glob("*.err"), key=lambda path: path.stat().st_mtime)
    for path in reversed(files):
        if lines := path.read_text(errors="replace").split("\n"):
            told = [line.strip() for line in lines if line.strip()]
            if told:
                return f"{told[-1]} (in {path})"
    return f"they printed nothing to {logs}"


def _numbers(cluster: Any) -> list[str]:
    """Of the jobs that were submitted, and not cancelled."""
    return sorted(job.job_id for job in list(cluster.workers.values()) if job.job_id)


def _close(cluster: Any) -> None:
    """Cancel all jobs and close the cluster; what it leaves is cancelled by hand."""
    try:
        cluster.close(timeout=_CLOSING_SECONDS)
    except TimeoutError:
        logger.warning("the cluster of jobs did not close in %d seconds", _CLOSING_SECONDS)
    for name, value in vars(cluster).items():
        if name.startswith("_job_") and hasattr(value, "close"):
            value.close()  # keys: the files go with it
    command = cluster.job_cls.cancel_command
    if command and (left := _numbers(cluster)):
        subprocess.run([*command.split(), *left], capture_output=True)


def _counted(jobs: int) -> str:
    return f"{jobs} job" if jobs == 1 else f"{jobs} jobs"
