"""The options of jobs: from the user, from dask-jobqueue's configuration, and from bigunet.

The user's options come first, then dask-jobqueue's own configuration.
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
from bigunet.extras import how_to_add

# The option for the account that pays. Only some batch systems have options for cores and GPUs.
_ACCOUNTS = {"slurm": "account", "pbs": "account", "lsf": "project", "sge": "project",
             "oar": "project"}  # fmt: skip
_CORES = {"slurm": "job_cpu", "lsf": "ncpus"}
# The unit of a walltime of one number; other batch systems take minutes.
_ONE_NUMBER = {"pbs": "SS", "sge": "SS", "oar": "HH"}
_GPUS = {"slurm": "--gres=gpu:{}", "lsf": "-gpu num={}"}


def cluster_options(spec: ClusterSpec) -> dict[str, Any]:
    """The arguments for dask-jobqueue's cluster class.

    Raises
    ------
    OptionError
        If an option is missing that only the user knows, or one is given that the batch system
        does not have.
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
            # Without this, Dask pauses or kills a worker at its share, which bigunet plans to fill.
            # The last of these options counts, so that a configured one prevails.
            *("--memory-limit", "0"),
            *configured.all("worker-extra-args", "extra"),
            # This one prevails: a job may have more cores than its worker has Dask threads.
            *("--nthreads", str(THREADS_PER_WORKER)),
            # Without the second, a port for health checks would be open to everybody.
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
    """Memory of each job, given or configured, in bytes; 0 if it is unknown."""
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
        """A list setting, which may be configured under its former name."""
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
    """The network addresses of this host, as a list in words."""
    addresses = [
        f"{name} has {address.address}"
        for name, of_interface in psutil.net_if_addrs().items()
        for address in of_interface
        if address.family == socket.AF_INET and not address.address.startswith("127.")
    ]
    return ", ".join(addresses) or "no network is up here"


def _lifetime(spec: ClusterSpec, configured: _Configured) -> dict[str, str]:
    """Dask's lifetime settings of a worker, if its job has an end and no lifetime is configured."""
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
    """Options that only some batch systems have, or that they name differently."""
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
    """The certificates of Dask's configuration, or else certificates of this run.

    Jobs read the latter from a folder that they share with this host, such as that of their output.
    """
    configured_one = configured_security(or_none=True)
    if configured_one is not None:
        return {"security": configured_one, "protocol": "tls://"}
    shared = configured.get("shared-temp-directory") or logs
    return {"security": True, "shared_temp_directory": shared}


def _new_folder() -> str:
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return f"{state}/bigunet/jobs/{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"


def jobqueue(kind: str) -> Any:
    """Import dask-jobqueue, which adds its defaults to Dask's configuration."""
    interrupt = signal.getsignal(signal.SIGINT)
    try:
        importlib.import_module("cryptography")
        return importlib.import_module("dask_jobqueue")
    except ImportError as error:
        raise ClusterError(
            f"--cluster {kind} needs dask-jobqueue and cryptography: {how_to_add('jobqueue')}"
        ) from error
    finally:
        # Its import replaces the handler of Ctrl-C by one that exits with 0.
        if signal.getsignal(signal.SIGINT) is not interrupt:
            signal.signal(signal.SIGINT, interrupt)
