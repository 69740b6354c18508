"""What a batch system is asked for: a job's options, by its user's, its defaults, and bigunet's.

What dask-jobqueue's own configuration says holds wherever the user gave nothing else.
"""

from __future__ import annotations

import importlib
import logging
import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

import dask
import psutil
from dask.utils import parse_bytes

from bigunet.engine.clusters.exposure import configured_security
from bigunet.engine.clusters.spec import LOOPBACK, ClusterSpec
from bigunet.engine.clusters.walltime import lifetime_settings, walltime_seconds
from bigunet.engine.clusters.worker_settings import SETTINGS, THREADS_PER_WORKER, exports
from bigunet.errors import ClusterError, OptionError

# What each calls the account that pays, and where it is told of cores or GPUs on its own.
_ACCOUNTS = {"slurm": "account", "pbs": "account", "lsf": "project", "sge": "project",
             "oar": "project"}  # fmt: skip
_CORES = {"slurm": "job_cpu", "lsf": "ncpus"}
# What a walltime is that is one number; minutes elsewhere.
_ONE_NUMBER = {"pbs": "SS", "sge": "SS", "oar": "HH"}
_GPUS = {"slurm": "--gres=gpu:{}", "lsf": "-gpu num={}"}


def cluster_options(spec: ClusterSpec) -> dict[str, Any]:
    """What dask-jobqueue's cluster class is called with.

    Raises
    ------
    OptionError
        If something is missing that only the user knows, or that the batch system has not.
    """
    kind, job = spec.kind, spec.job
    jobqueue(kind)
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
            # Else Dask pauses or kills a worker at its share, which bigunet plans to fill; the last
            # one counts, and so does what is configured.
            *("--memory-limit", "0"),
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
    jobqueue(spec.kind)
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
    if "dashboard_address" not in options or spec.dashboard_address:
        options["dashboard_address"] = spec.dashboard
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
    forms = {
        "two_numbers": "HH:MM" if spec.kind in ("lsf", "oar") else "MM:SS",
        "one_number": _ONE_NUMBER.get(spec.kind, "MM"),
    }
    seconds = walltime_seconds(str(walltime), **forms) if walltime else None
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


def jobqueue(kind: str) -> Any:
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
