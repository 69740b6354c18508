"""A worker in threads of this process: no process starts, and no port opens.

It is for work that takes less time than the start of a process, and for a Python that cannot start
processes.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

from distributed import Scheduler, SpecCluster, Worker, core
from distributed.http.routing import RoutingApplication
from distributed.utils import format_dashboard_link, silence_logging_cmgr

from bigunet.engine.clusters.worker_settings import THREADS_PER_WORKER
from bigunet.machine.overlaps import Overlapping


class _WithoutPort:
    """Part of a scheduler or worker, which serves pages only if it gets an address for them."""

    def start_http_server(
        self: Any,
        routes: Any,
        dashboard_address: str | None,
        default_port: int = 0,
        ssl_options: Any = None,
    ) -> None:
        if dashboard_address is not None:
            super().start_http_server(  # type: ignore[misc]
                routes, dashboard_address, default_port, ssl_options
            )
            return
        self.http_application, self.http_server = RoutingApplication([]), None


class _ThreadScheduler(_WithoutPort, Scheduler):  # type: ignore[misc]
    """A scheduler that only this process reaches."""


class _ThreadWorker(_WithoutPort, Worker):  # type: ignore[misc]
    """A worker in this process. It has no memory limit, as no other worker can take over."""


class _ThreadCluster(SpecCluster):  # type: ignore[misc]
    """A cluster with a link to its dashboard, which Distributed takes from a host that is empty."""

    def close(self, timeout: float | None = None) -> Any:
        """Close the cluster, and release its scheduler and worker.

        Distributed has an unlimited cache that holds the methods of all servers that ever ran.
        """
        closed = super().close(timeout)
        if (cache := getattr(core, "_expects_comm", None)) is not None:
            cache.cache_clear()
        return closed

    @property
    def dashboard_link(self) -> str:
        server = self.scheduler.http_server
        return format_dashboard_link(server.address, server.port) if server is not None else ""


def thread_cluster(dashboard_address: str | None, **options: Any) -> SpecCluster:
    """A scheduler and one worker in this process.

    Parameters
    ----------
    dashboard_address : str, optional
        ``host:port`` of the dashboard; by default there is none.
    **options
        Further options of the cluster.
    """
    scheduler = {
        "protocol": "inproc://",
        "dashboard": dashboard_address is not None,
        "dashboard_address": dashboard_address,
    }
    worker = {
        "protocol": "inproc://",
        "nthreads": THREADS_PER_WORKER,
        "memory_limit": None,
        "dashboard": False,
    }
    return _ThreadCluster(
        scheduler={"cls": _ThreadScheduler, "options": scheduler},
        workers={0: {"cls": _ThreadWorker, "options": worker}},
        # Clusters that overlap would restore each other's levels: see logs_silenced.
        silence_logs=False,
        **options,
    )


@contextlib.contextmanager
def _without_logs() -> Iterator[None]:
    logger = logging.getLogger("distributed")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with (
            silence_logging_cmgr(logging.CRITICAL),
            silence_logging_cmgr(logging.CRITICAL, root="bokeh"),
        ):
            yield
    finally:
        logger.setLevel(level)


# Distributed's logs are silenced, as those of workers in processes are.
logs_silenced = Overlapping(_without_logs)
