"""A worker in threads of this process: nothing is started, and no port is opened.

For small work, which a process would be started for longer than it takes; and for Python that
cannot start others.
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
    """Part of a scheduler or worker: it serves pages only where an address was given for them."""

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
    """Spoken to by this process alone."""


class _ThreadWorker(_WithoutPort, Worker):  # type: ignore[misc]
    """Shares this process, and so does not look at its memory: no other one can take over."""


class _ThreadCluster(SpecCluster):  # type: ignore[misc]
    """Tells where its dashboard listens: Distributed takes the scheduler's host, which is none."""

    def close(self, timeout: float | None = None) -> Any:
        """Close it, and let go of its scheduler and worker.

        Distributed keeps the methods of every server that it ever ran in a cache without end.
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
    """A scheduler and one worker here.

    Parameters
    ----------
    dashboard_address : str, optional
        ``host:port``; by default there is no dashboard.
    **options
        Of the cluster.
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
        # This would restore the levels in the order of the ends: see logs_silenced.
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


# Without what Distributed logs: of workers that are processes nobody sees it either.
logs_silenced = Overlapping(_without_logs)
