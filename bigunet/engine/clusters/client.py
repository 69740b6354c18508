"""Opens a client of workers on this host, in jobs of a batch system, or of a running scheduler."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dask
from distributed import Client, LocalCluster
from distributed.comm import get_address_host
from distributed.system import MEMORY_LIMIT

from bigunet.engine.clusters.batch import open_batch
from bigunet.engine.clusters.certificates import security_of
from bigunet.engine.clusters.cuda import auto_kind, cuda_cluster_class, gpus_for
from bigunet.engine.clusters.dask_settings import check_dask_settings
from bigunet.engine.clusters.environments import check_environments
from bigunet.engine.clusters.exposure import (
    dashboards_of,
    exposures,
    listening_host,
    moved_dashboard,
    port_warnings_silenced,
)
from bigunet.engine.clusters.refusals import why_not_started
from bigunet.engine.clusters.spec import ClusterSpec
from bigunet.engine.clusters.threads import logs_silenced, thread_cluster
from bigunet.engine.clusters.worker_settings import SETTINGS, THREADS_PER_WORKER
from bigunet.errors import ClusterError
from bigunet.machine.cores import core_owner
from bigunet.machine.memory import usable_memory_bytes
from bigunet.machine.overlaps import Overlapping
from bigunet.machine.processes import check_processes
from bigunet.machine.signals import interrupts_blocked, signals_for_main_thread

logger = logging.getLogger(__name__)

_settings = Overlapping(lambda: dask.config.set(SETTINGS))
_WORKER_TIMEOUT_SECONDS = 120
_CLOSING_SECONDS = 30
# Errors of configuration and of the system, and those that Distributed raises for them.
_START_ERRORS = (
    AttributeError, ImportError, KeyError, OSError, RuntimeError, TypeError, ValueError,
)  # fmt: skip


@contextlib.contextmanager
def open_client(
    spec: ClusterSpec,
    tell: Callable[[str], None] | None = None,
    stop: threading.Event | None = None,
    *,
    connect_seconds: float = 20,
) -> Iterator[Client]:
    """A client of the workers that ``spec`` describes. Workers started here are stopped at the end.

    Parameters
    ----------
    spec : ClusterSpec
    tell : callable, optional
        Gets lines for people: who may reach the cluster, and what it waits for. By default a log
        gets them.
    stop : threading.Event, optional
        When it is set, the client waits no longer for jobs in a queue.
    connect_seconds : float
        How long to wait for the answer of a scheduler that runs already.

    Raises
    ------
    ClusterError
        If there can be no workers.
    StoppedError
        If ``stop`` is set before a worker comes.
    """
    tell = tell or logger.warning
    check_dask_settings()
    if spec.scheduler is not None:
        with _connect(spec.scheduler, connect_seconds) as client:
            yield client
        return
    with _settings():
        opened = open_batch(spec, tell, stop) if spec.is_batch else _open_here(spec, tell)
        with opened as client:
            dashboards = dashboards_of(client)
            for line in (
                *exposures(client.scheduler.address, dashboards),
                *moved_dashboard(spec.dashboard_address, dashboards),
            ):
                tell(line)
            yield client


@contextlib.contextmanager
def _open_here(spec: ClusterSpec, tell: Callable[[str], None]) -> Iterator[Client]:
    """A client of workers on this host."""
    kind = spec.kind
    if kind == "auto":
        kind, idle = auto_kind()
        if idle:
            logger.warning("%s", idle)
    with logs_silenced() if kind == "threads" else contextlib.nullcontext():
        cluster = _cluster(replace(spec, kind=kind), tell)
        try:
            # Other Dask computations of the caller must not run on these workers.
            with Client(cluster, set_as_default=False) as client:
                yield client
        finally:
            close_cluster(cluster)


def _cluster(spec: ClusterSpec, tell: Callable[[str], None]) -> Any:
    if spec.kind == "threads":
        return _thread_cluster(spec)
    return _cuda_cluster(spec, tell) if spec.kind == "cuda" else _local_cluster(spec, tell)


def close_cluster(cluster: Any) -> None:
    """Close a cluster that was started here, and wait for a limited time.

    A cluster that is restarting a lost worker may never end. Its processes end with this one.
    """
    with contextlib.suppress(TimeoutError):
        cluster.close(timeout=_CLOSING_SECONDS)


def check_can_start(spec: ClusterSpec) -> None:
    """Raise if this Python cannot start the workers of ``spec``; nothing is started.

    Raises
    ------
    ClusterError
        If the workers are processes, and this Python cannot start any.
    """
    starts_processes = spec.scheduler is None and spec.kind in ("auto", "local", "cuda")
    # Forked workers do not import the main module again.
    if starts_processes and dask.config.get("distributed.worker.multiprocessing-method") != "fork":
        check_processes()


def check_client(client: Client) -> None:
    """Raise if a client cannot run blocks; wait some time for its first worker.

    Raises
    ------
    ClusterError
        If the client is closed or asynchronous, has no worker, or has a worker with other packages.
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
    check_environments(client)


def workers_per_host(client: Client) -> int:
    """The largest number of workers on one host, which share its memory; 1 at least."""
    hosts = Counter(get_address_host(address) for address in client.nthreads())
    return max(hosts.values(), default=1)


def workers_per_cores(client: Client) -> int:
    """The largest number of workers that share cores, those of a host or of a job; 1 at least."""
    owners = client.run(core_owner, on_error="ignore")
    hosts = Counter((get_address_host(address), owner) for address, owner in owners.items())
    return max(hosts.values(), default=1)


def _connect(scheduler: str, seconds: float) -> Client:
    try:
        return Client(_address(scheduler), timeout=seconds)
    except (KeyError, OSError, TypeError, ValueError) as error:
        raise ClusterError(
            f"no Dask scheduler at {scheduler}: {error or type(error).__name__}; give its address "
            "(tcp://host:8786, or tls:// with Dask's settings distributed.comm.tls) or its "
            "scheduler file"
        ) from error


def _address(scheduler: str) -> str:
    """The scheduler's address, or the one in its file; Dask would wait if the file had none."""
    path = Path(scheduler)
    address = json.loads(path.read_text("utf-8"))["address"] if path.is_file() else scheduler
    if not isinstance(address, str):
        raise ValueError(f"{address!r} is no address")
    return address


def _thread_cluster(spec: ClusterSpec) -> Any:
    address = spec.dashboard_address or None
    with signals_for_main_thread(), _starting(spec):
        return thread_cluster(address)


def _local_cluster(spec: ClusterSpec, tell: Callable[[str], None]) -> LocalCluster:
    workers = spec.workers or 1
    return _started(LocalCluster, spec, n_workers=workers, **_common(spec, workers, tell))


def _cuda_cluster(spec: ClusterSpec, tell: Callable[[str], None]) -> Any:
    cluster = cuda_cluster_class()
    names = [gpu.name for gpu in gpus_for(spec.workers)]
    try:
        options = _common(spec, len(names), tell)
        return _started(cluster, spec, CUDA_VISIBLE_DEVICES=names, **options)
    except ClusterError:
        raise
    except Exception as error:  # NVML's own error classes exist only where pynvml does
        raise ClusterError(f"no GPU can be used here: {error}; try --cluster local") from error


def _common(spec: ClusterSpec, workers: int, tell: Callable[[str], None]) -> dict[str, Any]:
    security = security_of(spec, tell)
    return {
        "threads_per_worker": THREADS_PER_WORKER,
        "memory_limit": _worker_bytes(workers),
        "host": listening_host(spec),
        "dashboard_address": spec.dashboard,
        "silence_logs": logging.CRITICAL,
        **({"security": security, "protocol": "tls://"} if security else {}),
    }


def _worker_bytes(workers: int) -> int:
    """Memory of each worker on this host, which Dask does not let it exceed.

    Dask's own limit takes no account of control groups inside others.
    """
    return min(usable_memory_bytes(), int(MEMORY_LIMIT)) // workers


def _started(cluster: Any, spec: ClusterSpec, **options: Any) -> Any:
    check_can_start(spec)
    with _starting(spec), interrupts_blocked():
        return cluster(**options)


@contextlib.contextmanager
def _starting(spec: ClusterSpec) -> Iterator[None]:
    """Raise one line that says why a cluster does not start."""
    try:
        with port_warnings_silenced():
            yield
    except _START_ERRORS as error:
        raise ClusterError(why_not_started(spec, error)) from error
