"""Events of several images at once: one at a time, each with the name of its image."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace

from bigunet.events import BlockDone, Event, Notice, OnEvent, RunsDone, StageBegun

logger = logging.getLogger(__name__)


class SeriesEvents:
    """Passes on the events of the images of a series.

    Parameters
    ----------
    kind : str
        Word for an image in log messages: ``"field"`` or ``"image"``.
    num_runs : int
    on_event : callable, optional
        Receives each event in the thread of the image; never two
        at a time. Without it, notices go to the log.
    """

    def __init__(self, kind: str, num_runs: int, on_event: OnEvent | None) -> None:
        self._kind, self._num_runs, self._on_event = kind, num_runs, on_event
        self._num_done = 0
        self._lock = threading.Lock()
        self._pass_on(RunsDone(0, num_runs))

    def of(self, run: str, left: Callable[[int], None]) -> OnEvent:
        """What receives the events of one image.

        Parameters
        ----------
        run : str
            Name of the image.
        left : callable
            Receives the number of blocks of the present stage that are left.
        """

        def receive(event: Event) -> None:
            if isinstance(event, BlockDone | StageBegun):
                left(event.num_blocks - event.num_done)
            with self._lock:
                self._pass_on(replace(event, run=run))

        return receive

    def end(self, run: str) -> None:
        """Count an image that has ended."""
        with self._lock:
            self._num_done += 1
            self._pass_on(RunsDone(self._num_done, self._num_runs, run))

    def _pass_on(self, event: Event) -> None:
        if self._on_event is not None:
            self._on_event(event)
        elif isinstance(event, Notice):
            text = event.text.removeprefix("Warning: ")
            logger.warning("%s %s: %s", self._kind, event.run, text)
