"""Workers in jobs of a batch system (Slurm, PBS, LSF, SGE, HTCondor, OAR), by dask-jobqueue.

The user's options come first, then dask-jobqueue's own configuration.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask
from dask.utils import parse_timedelta
from distributed import Client

from bigunet.engine.clusters.job_options import cluster_options, jobqueue
from bigunet.engine.clusters.leaving import close_jobs, known_to_slurm, remove_keys
from bigunet.engine.clusters.spec import ClusterSpec
from bigunet.engine.clusters.submissions import Submissions, watched
from bigunet.errors import ClusterError, StoppedError
from bigunet.machine.signals import interrupts_blocked, undisturbed

_CLASSES = {
    "slurm": "SLURMCluster", "pbs": "PBSCluster", "lsf": "LSFCluster", "sge": "SGECluster",
    "htcondor": "HTCondorCluster", "oar": "OARCluster",
}  # fmt: skip
# A block may lose several workers, because jobs are preempted or reach their walltime.
_ALLOWED_FAILURES = 10
_POLL_SECONDS = 0.2
# Frequent questions are a load on a batch system.
_ASK_SECONDS = (5.0, 60.0)


@contextlib.contextmanager
def open_batch(
    spec: ClusterSpec, tell: Callable[[str], None], stop: threading.Event | None = None
) -> Iterator[Client]:
    """A client with workers in jobs, which opens with the first worker.

    While it is open, lost jobs are replaced. At its end all jobs are cancelled.

    Parameters
    ----------
    spec : ClusterSpec
    tell : callable
        Gets lines for people: what the client waits for, and what went wrong at the end.
    stop : threading.Event, optional
        When it is set, the client waits no longer for its first worker.

    Raises
    ------
    ClusterError
        If jobs cannot be submitted, or all of them end before a worker comes.
    StoppedError
        If ``stop`` is set before a worker comes.
    """
    submissions, stop = Submissions(), stop or threading.Event()
    allowed = max(_ALLOWED_FAILURES, dask.config.get("distributed.scheduler.allowed-failures"))
    with dask.config.set({"distributed.scheduler.allowed-failures": allowed}):
        options = cluster_options(spec)
        cluster = _started(spec.kind, options, submissions)
        try:
            with Client(cluster) as client:
                jobs = spec.workers or 1
                cluster.adapt(minimum_jobs=jobs, maximum_jobs=jobs)
                tell(f"waiting for the first of {_counted(jobs)} of {spec.kind}; what they print "
                     f"goes to {options['log_directory']}")  # fmt: skip
                _wait(client, cluster, stop, logs=options["log_directory"])
                yield client
        finally:
            with undisturbed():
                if trouble := close_jobs(cluster, submissions):
                    tell(trouble)


def _started(kind: str, options: dict[str, Any], submissions: Submissions) -> Any:
    cluster_class = getattr(jobqueue(kind), _CLASSES[kind])
    try:
        Path(options["log_directory"]).mkdir(mode=0o700, parents=True, exist_ok=True)
        with interrupts_blocked():
            replacing = type(
                cluster_class.__name__, (_Replacing, cluster_class), {"submissions": submissions}
            )
            return replacing(job_cls=watched(cluster_class.job_cls, submissions), **options)
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        raise ClusterError(
            f"cannot start a scheduler for jobs of {kind}: {error.__cause__ or error}"
        ) from error


class _Replacing:
    """Part of a cluster class. It replaces a job of several workers when all of them are lost.

    If the cluster cannot start, it leaves no keys.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        try:
            super().__init__(*args, **options)
        except BaseException:
            remove_keys(self)
            raise

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


def _wait(client: Client, cluster: Any, stop: threading.Event, *, logs: str) -> None:
    """Wait for a worker, for hours if the queue is long; raise if none can come any more."""
    pause = _ASK_SECONDS[0]
    ask = time.monotonic() + pause
    while not client.nthreads():
        if cluster.submissions.in_vain:
            raise ClusterError(f"jobs cannot be submitted: {cluster.submissions.refusal}")
        if time.monotonic() > ask:
            _check_jobs(cluster, logs)
            pause = min(2 * pause, _ASK_SECONDS[1])
            ask = time.monotonic() + pause
        if stop.wait(_POLL_SECONDS):
            raise StoppedError("stopped as asked before the first block")


def _check_jobs(cluster: Any, logs: str) -> None:
    """Raise if Slurm has none of the jobs any more, so that no worker will come."""
    numbers = cluster.submissions.alive
    if not numbers or cluster.job_cls.submit_command != "sbatch":
        return
    if known_to_slurm(numbers) is False and numbers == cluster.submissions.alive:
        raise ClusterError(
            f"jobs {', '.join(numbers)} ended before a worker came: {_last_words(logs)}"
        )


def _last_words(logs: str) -> str:
    files = sorted(Path(logs).glob("*.err"), key=lambda path: path.stat().st_mtime)
    for path in reversed(files):
        if lines := path.read_text("utf-8", errors="replace").split("\n"):
            printed = [line.strip() for line in lines if line.strip()]
            if printed:
                return f"{printed[-1]} (in {path})"
    return f"they printed nothing to {logs}"


def _counted(jobs: int) -> str:
    return f"{jobs} job" if jobs == 1 else f"{jobs} jobs"
