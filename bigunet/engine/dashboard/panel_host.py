"""The scheduler's side of bigunet's panel: a page of its dashboard, as long as there are runs.

It runs in the scheduler's process, which may be a user's own, and is removed with the last run.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from typing import Any

from distributed import Scheduler, SchedulerPlugin

from bigunet.engine.dashboard.stage_progress import State

logger = logging.getLogger(__name__)

PATH = "/bigunet"
POST, END = "bigunet_progress", "bigunet_end"
_NAME = "bigunet-panel"


def open_panel(run: str, client: str, *, dask_scheduler: Scheduler) -> str:
    """Show a run of a client on this scheduler's dashboard; return why that fails, or nothing."""
    try:
        host = dask_scheduler.plugins.get(_NAME)
        if host is None:
            host = PanelHost(dask_scheduler)
            dask_scheduler.add_plugin(host, name=_NAME)
        host.clients[run] = client
    except Exception as error:
        logger.debug("no panel", exc_info=True)
        return f"{type(error).__name__}: {error}"
    return ""


class PanelHost(SchedulerPlugin):  # type: ignore[misc]
    """Keeps the last state of each run, and shows it on the page.

    Parameters
    ----------
    scheduler : distributed.Scheduler

    Raises
    ------
    ImportError
        If the scheduler's environment lacks Bokeh.
    LookupError
        If the scheduler has no dashboard.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self.clients: dict[str, str] = {}
        self.states: dict[str, State] = {}
        self._scheduler = scheduler
        self._panels: set[Any] = set()
        self._pages = self._add_pages()
        self._metrics_end = _add_metrics(self.states)
        scheduler.handlers |= {POST: self.post, END: self.end}

    def post(self, run: str, state: State) -> int:
        """Keep the state that a run sends; return the number of workers."""
        if run in self.clients:
            self.states[run] = state
        return len(self._scheduler.workers)

    def end(self, run: str, state: State) -> None:
        """Show the last state of a run, and forget the run."""
        self.post(run, state)
        self._forget([run])

    def remove_client(self, scheduler: Scheduler, client: str) -> None:
        """Forget the runs of a client that has left."""
        self._forget([run for run, of in self.clients.items() if of == client])

    async def close(self) -> None:
        """Forget all runs when the scheduler ends."""
        self._forget(list(self.clients))

    def _forget(self, runs: list[str]) -> None:
        last = not self.clients.keys() - set(runs)
        if last:
            # The pages must end before the states are removed.
            self._withdraw()
        for run in runs:
            self.clients.pop(run, None)
            self.states.pop(run, None)

    def _add_pages(self) -> Any:
        from bokeh.server.tornado import BokehTornado
        from distributed.dashboard.core import BokehApplication
        from tornado.ioloop import IOLoop

        from bigunet.engine.dashboard.panel import Panel

        def show(scheduler: Scheduler, extra: dict[str, Any], document: Any) -> None:
            panel = Panel(document, self.states)
            self._panels.add(panel)
            # A change of a destroyed page breaks all Bokeh pages of the scheduler.
            document.on_session_destroyed(lambda context: self._panels.discard(panel))

        application = self._scheduler.http_application
        for dask_pages in application.applications:
            if isinstance(dask_pages, BokehTornado):
                break
        else:
            raise LookupError("the scheduler has no dashboard")
        pages = BokehApplication({PATH: show}, self._scheduler, prefix=dask_pages.prefix)
        pages.initialize(IOLoop.current())
        pages.start()
        application.add_application(pages)
        return pages

    def _withdraw(self) -> None:
        if self._scheduler.plugins.get(_NAME) is not self:
            return
        self._scheduler.remove_plugin(_NAME)
        for panel in list(self._panels):
            with contextlib.suppress(Exception):
                panel.end()
        self._metrics_end()
        for operation in (POST, END):
            del self._scheduler.handlers[operation]
        self._scheduler.http_application.applications.remove(self._pages)
        # Bokeh 3.10 ends pages in a coroutine, and this loop is running.
        end = getattr(self._pages, "stop_async", self._pages.stop)
        self._scheduler.loop.add_callback(end)


def _add_metrics(states: dict[str, State]) -> Callable[[], None]:
    """Serve the states to Prometheus if its client is installed; return a function that ends it."""
    try:
        from bigunet.engine.dashboard.prometheus import serve
    except ImportError:
        return lambda: None
    return serve(states)
