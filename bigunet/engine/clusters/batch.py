"""Workers that are jobs of a batch system (Slurm, PBS, LSF, SGE, HTCondor, OAR), by dask-jobqueue.

What dask-jobqueue's own configuration says holds wherever the user gave nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask
import psutil
from dask.utils import parse_bytes, parse_timedelta
from distributed import Client
from distributed.core import Status

from bigunet.engine.clusters.exposure import configured_security
from bigunet.engine.clusters.interrupts import interrupts_blocked, undisturbed
from bigunet.engine.clusters.settings import SETTINGS, THREADS_PER_WORKER, exports
from bigunet.engine.clusters.spec import LOOPBACK, ClusterSpec
from bigunet.engine.clusters.walltime import lifetime_settings, walltime_seconds
from bigunet.errors import ClusterError, OptionError

logger = logging.getLogger(__name__)

_CLASSES = {
    "slurm": "SLURMCluster", "pbs": "PBSCluster", "lsf": "LSFCluster", "sge": "SGECluster",
    "htcondor": "HTCondorCluster", "oar": "OARCluster",
}  # fmt: skip
# What each calls the account that pays, and where it is told of cores or GPUs on its own.
_ACCOUNTS = {"slurm": "account", "pbs": "account", "lsf": "project", "sge": "project",
             "oar": "project"}  # fmt: skip
_CORES = {"slurm": "job_cpu", "lsf": "ncpus"}
_GPUS = {"slurm": "--gres=gpu:{}", "lsf": "-gpu num={}"}
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


def cluster_options(spec: ClusterSpec) -> dict[str, Any]:
    """What dask-jobqueue's cluster class is called with.

    Raises
    ------
    OptionError
        If something is missing that only the user knows, or that the batch system has not.
    """
    kind, job = spec.kind, spec.job
    _jobqueue(kind)
    configured = _Configured(kind)
    if not job.memory_bytes and configured.get("memory") is None:
        raise OptionError(
            f"--cluster {kind}: how much memory does each job get? give --job-memory, such as "
            f"16GB, or jobqueue.{kind}.memory in Dask's configuration"
        )
    logs = job.logs or configured.get("log-directory") or _new_folder()
    logs = str(Path(os.path.expanduser(os.path.expandvars(logs))).absolute())
    num_workers = job.num_workers
    options: dict[str, Any] = {
        "cores": job.cores or configured.get("cores") or THREADS_PER_WORKER * num_workers,
        "processes": num_workers,
        "log_directory": logs,
        "silence_logs": logging.CRITICAL,
        "scheduler_options": _scheduler_options(spec, configured),
        "job_script_prologue": [
            *configured.all("job-script-prologue", "env-extra"),
            *exports(SETTINGS | _lifetime(spec, configured)),
        ],
        "worker_extra_args": [
            *configured.all("worker-extra-args", "extra"),
            # The last one counts: a job may have more cores than its worker has Dask threads.
            *("--nthreads", str(THREADS_PER_WORKER)),
            # Without the second a port for health checks would be open to all.
            *("--no-dashboard", "--dashboard-address", f"{LOOPBACK}:0"),
        ],
        **_security(logs, configured),
        **_of_the_batch_system(spec, configured),
    }
    if job.memory_bytes:
        options["memory"] = f"{job.memory_bytes} B"
    if spec.interface:
        options["interface"] = spec.interface
    if configured.get("name") in (None, "dask-worker"):
        options["job_name"] = "bigunet"
    return options


def job_memory_bytes(spec: ClusterSpec) -> int:
    """Memory of each job, as it was given or is configured; 0 where that is not known."""
    if not spec.is_batch:
        return 0
    _jobqueue(spec.kind)
    configured = _Configured(spec.kind).get("memory")
    return spec.job.memory_bytes or (int(parse_bytes(configured)) if configured else 0)


class _Configured:
    """dask-jobqueue's configuration of one batch system."""

    def __init__(self, kind: str) -> None:
        self._section = f"jobqueue.{kind}"

    def get(self, name: str) -> Any:
        return dask.config.get(f"{self._section}.{name}", None)

    def all(self, name: str, former: str) -> list[str]:
        """A list, which may still be configured under the name that it had formerly."""
        return list(self.get(name) or self.get(former) or [])


def _scheduler_options(spec: ClusterSpec, configured: _Configured) -> dict[str, Any]:
    options = dict(configured.get("scheduler-options") or {})
    if spec.host:
        options.pop("interface", None)
        options["host"] = spec.host
    if spec.interface and not spec.host:
        options.pop("host", None)
        options["interface"] = spec.interface
    if not any((options.get("host"), options.get("interface"), configured.get("interface"))):
        raise OptionError(
            f"--cluster {spec.kind}: at which address do jobs on other machines reach this one? "
            f"give --interface NAME or --host ADDRESS ({_addresses()})"
        )
    if "dashboard_address" not in options or spec.dashboard_address != f"{LOOPBACK}:0":
        options["dashboard_address"] = spec.dashboard_address
    return options


def _addresses() -> str:
    """What there is to choose from."""
    found = [
        f"{name} has {address.address}"
        for name, addresses in psutil.net_if_addrs().items()
        for address in addresses
        if address.family == socket.AF_INET and not address.address.startswith("127.")
    ]
    return ", ".join(found) or "no network is up here"


def _lifetime(spec: ClusterSpec, configured: _Configured) -> dict[str, str]:
    """How long a worker lives, where that is not said and its job has an end."""
    given = " ".join(map(str, configured.all("worker-extra-args", "extra")))
    walltime = spec.job.walltime or configured.get("walltime")
    if "--lifetime" in given or dask.config.get("distributed.worker.lifetime.duration", None):
        return {}
    two_numbers = "HH:MM" if spec.kind == "lsf" else "MM:SS"
    seconds = walltime_seconds(str(walltime), two_numbers=two_numbers) if walltime else None
    return lifetime_settings(seconds) if seconds else {}


def _of_the_batch_system(spec: ClusterSpec, configured: _Configured) -> dict[str, Any]:
    """Options whose names differ, or that not all have."""
    kind, job = spec.kind, spec.job
    options: dict[str, Any] = {}
    if kind == "htcondor" and (job.queue or job.account or job.walltime):
        raise OptionError("htcondor has no queue, account or walltime: leave them out")
    if job.queue:
        options["queue"] = job.queue
    if job.account:
        options[_ACCOUNTS[kind]] = job.account
    if job.walltime:
        options["walltime"] = job.walltime
    if job.cores and kind in _CORES:
        options[_CORES[kind]] = job.cores
    if job.gpus:
        if kind not in _GPUS:
            raise OptionError(
                f"--job-gpus: {kind} has no one way to ask for GPUs; say it in Dask's "
                f"configuration, in jobqueue.{kind}.job-extra-directives, with worker-command "
                "dask_cuda.cli"
            )
        before = configured.all("job-extra-directives", "job-extra")
        options["job_extra_directives"] = [*before, _GPUS[kind].format(job.gpus)]
        options["worker_command"] = "dask_cuda.cli"
    return options


def _security(logs: str, configured: _Configured) -> dict[str, Any]:
    """Certificates that Dask is configured with, else some of this run's own.

    Jobs read theirs from a folder that they share with this machine, as they do their output.
    """
    found = configured_security(or_none=True)
    if found is not None:
        return {"security": found, "protocol": "tls://"}
    shared = configured.get("shared-temp-directory") or logs
    return {"security": True, "shared_temp_directory": shared}


def _new_folder() -> str:
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return f"{state}/bigunet/jobs/{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"


def _started(kind: str, options: dict[str, Any], failures: list[str]) -> Any:
    cluster_class = getattr(_jobqueue(kind), _CLASSES[kind])
    try:
        Path(options["log_directory"]).mkdir(mode=0o700, parents=True, exist_ok=True)
        with interrupts_blocked():
            replacing = type(cluster_class.__name__, (_Replacing, cluster_class), {})
            return replacing(job_cls=_watched(cluster_class.job_cls, failures), **options)
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        raise ClusterError(
            f"cannot start a scheduler for jobs of {kind}: {error.__cause__ or error}"
        ) from error


def _jobqueue(kind: str) -> Any:
    """dask-jobqueue; its defaults are in Dask's configuration once it is imported."""
    interrupt = signal.getsignal(signal.SIGINT)
    try:
        importlib.import_module("cryptography")
        return importlib.import_module("dask_jobqueue")
    except ImportError as error:
        raise ClusterError(
            f"--cluster {kind} needs dask-jobqueue and cryptography: pip install "
            "'bigunet[jobqueue]'"
        ) from error
    finally:
        # It takes Ctrl-C for itself, and then exits with 0.
        if signal.getsignal(signal.SIGINT) is not interrupt:
            signal.signal(signal.SIGINT, interrupt)


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
