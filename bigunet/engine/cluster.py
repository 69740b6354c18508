"""Where the workers come from: this machine's cores, its GPUs, or a scheduler that runs already."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any, Literal, get_args

import dask
from distributed import Client, LocalCluster
from distributed.comm import get_address_host

from bigunet.engine.cuda import cuda_cluster_class, gpus_for, why_no_cuda_cluster
from bigunet.errors import ClusterError, OptionError

logger = logging.getLogger(__name__)

ClusterKind = Literal["auto", "local", "cuda"]
LOOPBACK = "127.0.0.1"
# One thread computes, one reads the next block, one writes the last.
THREADS_PER_WORKER = 3
_WORKER_TIMEOUT_SECONDS = 120
_CLOSING_SECONDS = 30
# Dask makes workers give freed memory back at once, which costs a network's forward pass as much
# again in page faults (0.22 s of system time on 0.27 s per 876² tile of a 16-wide U-Net, 0.01 s
# with these).
_SETTINGS = {
    "distributed.comm.timeouts.connect": "60s",
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": 4_000_000_000,
    "distributed.nanny.pre-spawn-environ.MALLOC_MMAP_THRESHOLD_": 4_000_000_000,
    # Dask's health checks, 50 and 100 a second, took 6 % of a core from two that compute.
    "distributed.admin.tick.interval": "500ms",
    "distributed.worker.profile.interval": "100ms",
    "distributed.worker.memory.monitor-interval": "500ms",
    # Ten minutes, not an hour: four megabytes per process that only fill slowly.
    "distributed.admin.system-monitor.log-length": 1200,
    # The numbers of GPUs that NVML has, not the fastest one first.
    "distributed.nanny.pre-spawn-environ.CUDA_DEVICE_ORDER": "PCI_BUS_ID",
    # What libraries warn of is for developers, and would tear the progress bar.
    "distributed.nanny.pre-spawn-environ.PYTHONWARNINGS": "ignore",
}


@dataclass(frozen=True, slots=True)
class ClusterSpec:
    """Which workers to use.

    Parameters
    ----------
    kind : {"auto", "local", "cuda"}
        ``local``: processes on this machine's cores. ``cuda``: one worker per visible GPU.
        ``auto``: the GPUs where there are some.
    scheduler : str, optional
        Address or scheduler file of a running Dask cluster, used instead of starting one.
    workers : int, optional
        How many; 1 on cores, which then all serve it, and one per GPU.
    dashboard_address : str
        ``host:port`` of the dashboard; port 0 takes a free one.
    """

    kind: ClusterKind = "auto"
    scheduler: str | None = None
    workers: int | None = None
    dashboard_address: str = f"{LOOPBACK}:0"

    def __post_init__(self) -> None:
        if self.kind not in get_args(ClusterKind):
            raise OptionError(f"cluster {self.kind!r}; known: {', '.join(get_args(ClusterKind))}")
        if self.workers is not None and self.workers < 1:
            raise OptionError(f"{self.workers} workers; give at least 1")


@contextlib.contextmanager
def open_client(spec: ClusterSpec) -> Iterator[Client]:
    """A client of the workers that ``spec`` asks for; what was started is stopped at the end.

    Raises
    ------
    ClusterError
        If they cannot be had.
    """
    if spec.scheduler is not None:
        with _connect(spec.scheduler) as client:
            yield client
        return
    kind = _resolve(spec.kind)
    with dask.config.set(_SETTINGS):
        cluster = _cuda_cluster(spec) if kind == "cuda" else _local_cluster(spec)
        try:
            with Client(cluster) as client:
                yield client
        finally:
            close_cluster(cluster)


def close_cluster(cluster: Any) -> None:
    """Close a cluster that was started here, and wait for it, but not for ever.

    One whose worker was just lost, and is being started anew, may never end; its processes end
    with this one.
    """
    with contextlib.suppress(TimeoutError):
        cluster.close(timeout=_CLOSING_SECONDS)


def check_client(client: Client) -> None:
    """See that a client can run blocks, waiting a while for its first worker.

    Raises
    ------
    ClusterError
        If it is closed or asynchronous, or has no worker.
    """
    if client.asynchronous or client.status != "running":
        raise ClusterError(
            f"the client is {'asynchronous' if client.asynchronous else client.status}; give one "
            "that is running, made with distributed.Client(...)"
        )
    try:
        client.wait_for_workers(1, timeout=_WORKER_TIMEOUT_SECONDS)
    except TimeoutError as error:
        raise ClusterError(
            f"the cluster at {client.scheduler.address} has had no worker for "
            f"{_WORKER_TIMEOUT_SECONDS} seconds; start some"
        ) from error


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def workers_per_host(client: Client) -> int:
    """The most workers that share one host, and so its cores; 1 at least."""
    hosts = Counter(get_address_host(address) for address in client.nthreads())
    return max(hosts.values(), default=1)


def _connect(scheduler: str) -> Client:
    try:
        return Client(_address(scheduler), timeout="20s")
    except (KeyError, OSError, TypeError, ValueError) as error:
        raise ClusterError(
            f"no Dask scheduler at {scheduler}: {error or type(error).__name__}; give its address "
            "(tcp://host:8786) or its scheduler file"
        ) from error


def _address(scheduler: str) -> str:
    """The scheduler's address, which may be in a file; Dask waits on a file that has none."""
    path = Path(scheduler)
    address = json.loads(path.read_text())["address"] if path.is_file() else scheduler
    if not isinstance(address, str):
        raise ValueError(f"{address!r} is no address")
    return address


def _local_cluster(spec: ClusterSpec) -> LocalCluster:
    return _started(LocalCluster, n_workers=spec.workers or 1, **_common(spec))


def _cuda_cluster(spec: ClusterSpec) -> Any:
    cluster = cuda_cluster_class()
    names = [gpu.name for gpu in gpus_for(spec.workers)]
    try:
        return _started(cluster, CUDA_VISIBLE_DEVICES=names, **_common(spec))
    except ClusterError:
        raise
    except Exception as error:  # NVML's own error classes exist only where pynvml does
        raise ClusterError(f"no GPU can be used here: {error}; try --cluster local") from error


def _common(spec: ClusterSpec) -> dict[str, Any]:
    return {
        "threads_per_worker": THREADS_PER_WORKER,
        "host": LOOPBACK,
        "dashboard_address": spec.dashboard_address,
        "silence_logs": logging.CRITICAL,
    }


def _started(cluster: Any, **options: Any) -> Any:
    try:
        with _interrupts_blocked():
            return cluster(**options)
    except (OSError, RuntimeError, ValueError) as error:
        # Distributed wraps what went wrong in a word that only says that something did.
        raise ClusterError(
            f"cannot start workers with the dashboard at {options['dashboard_address']}: "
            f"{error.__cause__ or error}; is --dashboard-address HOST:PORT, and free?"
        ) from error


@contextlib.contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Start processes that Ctrl-C does not reach: their client ends them, without tracebacks.

    Threads and processes inherit what their starter blocks, so workers that are started anew
    later are spared as well.
    """
    # SIGUSR1 asks their client to come to an end; batch systems send it to the whole group.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    try:
        # Started by the first worker, it would unblock SIGINT in the thread that starts it.
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _resolve(kind: ClusterKind) -> ClusterKind:
    if kind != "auto":
        return kind
    missing = why_no_cuda_cluster()
    if missing.startswith("a GPU"):
        logger.warning("%s", missing)
    return "local" if missing else "cuda"
