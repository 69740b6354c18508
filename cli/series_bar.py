"""The progress bar of several images at once on stderr: images done, those at work, time left."""

from __future__ import annotations

import os
import sys
import time
from types import TracebackType
from typing import Any

from bigunet_cli.words import say
from tqdm import tqdm

from bigunet.events import BlockDone, Event, Notice, RunsDone, StageBegun

_FORMAT = "{percentage:3.0f}%|{bar}| {unit}{postfix}, {remaining} left"
_MOST_NAMES = 2
# Later stages take a small part of the time, and do not move the bar.
_STAGE = "segment"


class SeriesBar:
    """Draws the events of several images, if stderr is a terminal; and lines above the bar.

    Parameters
    ----------
    kind : str
        Word for an image: ``"field"`` or ``"image"``.
    shown : bool
    """

    def __init__(self, kind: str, *, shown: bool) -> None:
        self._kind, self._shown = kind, shown
        self._bar: tqdm[Any] | None = None
        self._num_runs = 0
        self._is_dashboard_said = False
        self._shares: dict[str, float] = {}
        self._num_done, self._voxels, self._begun = 0, 0, time.perf_counter()

    def __enter__(self) -> SeriesBar:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        self._bar = None

    def __call__(self, event: Event) -> None:
        """Draw one event; a notice for people is printed even where no bar is drawn."""
        if isinstance(event, Notice):
            self.say(f"{self._kind} {event.run}: {event.text}" if event.run else event.text)
        elif self._shown:
            self._count(event)

    def say(self, line: str) -> None:
        """Print a line for people above the bar; any thread may do so."""
        with tqdm.external_write_mode(file=sys.stderr):
            say(line)

    def _count(self, event: BlockDone | RunsDone | StageBegun) -> None:
        if isinstance(event, RunsDone):
            self._num_done = event.num_done
            self._shares.pop(event.run, None)
            if self._bar is None:
                self._begin(event.num_runs)
        else:
            self._say_dashboard(event)
            share = event.num_done / max(1, event.num_blocks) if event.stage == _STAGE else 1.0
            self._shares[event.run] = share
            if isinstance(event, BlockDone):
                self._count_block(event)
        self._draw()

    def _count_block(self, event: BlockDone) -> None:
        self._voxels += event.result["voxels"] if event.stage == _STAGE else 0
        if smaller := event.result.get("smaller_tile"):
            self.say(
                f"{self._kind} {event.run}: out of memory: going on with tiles of {smaller}, which "
                "give the same labels"
            )

    def _say_dashboard(self, event: BlockDone | StageBegun) -> None:
        """Print the address of the dashboard once, on a terminal and in a log alike."""
        if not isinstance(event, StageBegun) or self._is_dashboard_said:
            return
        if event.dashboard:
            addresses = ", map: ".join(filter(None, (event.dashboard, event.panel)))
            self.say(f"dashboard: {addresses}")
            self._is_dashboard_said = True

    def _begin(self, num_runs: int) -> None:
        self._num_runs, self._begun = num_runs, time.perf_counter()
        self._bar = tqdm(
            total=num_runs,
            bar_format=_FORMAT,
            disable=None,
        )

    def _draw(self) -> None:
        if self._bar is None:
            return
        names = [os.path.basename(name) if os.path.isabs(name) else name for name in self._shares]
        more = len(names) - _MOST_NAMES
        at_work = ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
        speed = self._voxels / 1e6 / max(time.perf_counter() - self._begun, 1e-9)
        self._bar.unit = f"{self._num_done} of {self._num_runs} {self._kind}s"
        shown = [f"at work {at_work}"] if at_work else []
        self._bar.set_postfix_str(", ".join([*shown, f"{speed:.1f} Mpx/s"]), refresh=False)
        self._bar.update(self._num_done + sum(self._shares.values()) - self._bar.n)
