"""Sends the progress of a run to the scheduler, for the panel that bigunet adds to the dashboard.

Nothing here may end a run: failures are logged for developers.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import uuid
from collections.abc import Collection, Iterator
from dataclasses import replace

from distributed import Client
from tornado.ioloop import PeriodicCallback

from bigunet.engine.dashboard.panel_host import END, PATH, POST, open_panel
from bigunet.engine.dashboard.stage_progress import StageProgress
from bigunet.engine.stage import Stage
from bigunet.events import BlockDone, Event, StageBegun

logger = logging.getLogger(__name__)

_POST_MILLISECONDS = 1000
_END_SECONDS = 10
_STATUS = "/status"


class Watch:
    """Shows a run on the dashboard; use it as a context manager.

    Parameters
    ----------
    client : distributed.Client
        Any client. If its scheduler has no dashboard or no bigunet, nothing is shown.
    output : str
        Path or URL that the run writes.
    """

    def __init__(self, client: Client, output: str) -> None:
        self._client = client
        self._run = f"bigunet-{uuid.uuid4().hex[:12]}"
        self._progress = StageProgress(output)
        self._lock = threading.Lock()
        self._changed = False
        self._posting: PeriodicCallback | None = None
        self.panel = ""

    def __enter__(self) -> Watch:
        with _harmless():
            dashboard = self._client.dashboard_link or ""
            if not dashboard.endswith(_STATUS):
                return self
            if refused := self._client.run_on_scheduler(open_panel, self._run, self._client.id):
                logger.debug("no panel on the dashboard: %s", refused)
                return self
            self.panel = dashboard.removesuffix(_STATUS) + PATH
            self._posting = PeriodicCallback(self._post, _POST_MILLISECONDS)
            self._client.loop.add_callback(self._posting.start)
        return self

    def __exit__(self, *_: object) -> None:
        if self._posting is None:
            return
        with _harmless():
            self._client.loop.add_callback(self._posting.stop)
            if self._client.status == "running":
                end = getattr(self._client.scheduler, END)
                with self._lock:
                    state = self._progress.to_dict()
                self._client.sync(end, run=self._run, state=state, callback_timeout=_END_SECONDS)

    def see(self, event: Event, stage: Stage, done: Collection[int]) -> Event:
        """Add an event of a stage to the progress.

        Parameters
        ----------
        event : Event
        stage : Stage
        done : collection of int
            Numbers of the blocks on the stage's grid that are done. They are read when the stage
            begins.

        Returns
        -------
        Event
            The same event. If a stage begins, it has the address of the panel.
        """
        if self._posting is None:
            return event
        with _harmless(), self._lock:
            if isinstance(event, BlockDone):
                self._progress.advance(event, time.monotonic())
            elif isinstance(event, StageBegun):
                self._progress.begin(stage, event.num_done, done, time.monotonic())
            self._changed = True
        return replace(event, panel=self.panel) if isinstance(event, StageBegun) else event

    async def _post(self) -> None:
        with self._lock:
            if not self._changed:
                return
            self._changed, state = False, self._progress.to_dict()
        try:
            post = getattr(self._client.scheduler, POST)
            self._progress.num_workers = max(1, await post(run=self._run, state=state))
        except Exception:
            logger.debug("the panel on the dashboard is lost", exc_info=True)
            if self._posting is not None:
                self._posting.stop()


@contextlib.contextmanager
def _harmless() -> Iterator[None]:
    try:
        yield
    except Exception:
        logger.debug("the panel on the dashboard failed", exc_info=True)
