"""The bar that a caller in Python asks for with ``progress=True``; commands have bars of their own.

In a notebook it is a widget where ipywidgets is installed; elsewhere it is text on stderr.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

from tqdm.auto import tqdm

from bigunet.events import (
    AtWork,
    BlockDone,
    Event,
    Notice,
    RunsDone,
    StageBegun,
    StepDone,
    TrainBegun,
    TrainEvent,
    Validated,
)

_BLOCKS = "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} {unit} {postfix} {remaining} left"
_RUNS, _TRAINING = "images", "training"
_SHARE = "{desc} {percentage:3.0f}%|{bar}| {postfix} {remaining} left"


@contextlib.contextmanager
def drawn(
    on_event: Callable[[Any], None] | None, *, progress: bool
) -> Iterator[Callable[[Any], None] | None]:
    """What receives the events of a run: a bar if one is asked for, then the caller's function.

    Parameters
    ----------
    on_event : callable, optional
        The caller's function.
    progress : bool
        Whether to draw a bar.
    """
    if not progress:
        yield on_event
        return
    bar = EventBar()

    def receive(event: Event | TrainEvent) -> None:
        bar(event)
        if on_event is not None:
            on_event(event)

    try:
        yield receive
    finally:
        bar.close()


class EventBar:
    """Draws the events of a run, of several runs, or of a training; one bar at a time."""

    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None
        self._title = ""
        self._shown: dict[str, str] = {}

    def __call__(self, event: Event | TrainEvent) -> None:
        """Draw one event."""
        match event:
            case Notice(text=text, run=run):
                tqdm.write(f"{run}: {text}" if run else text, file=sys.stderr)
            case RunsDone():
                self._count_runs(event)
            case StageBegun() if self._title != _RUNS:
                blocks = {"total": event.num_blocks, "initial": event.num_done}
                self._begin(event.stage, _BLOCKS, unit="blocks", **blocks)
            case BlockDone(stage=stage) if self._title == stage and self._bar is not None:
                self._bar.update()
            case TrainBegun() | StepDone() | Validated() | AtWork():
                self._show_training(event)

    def close(self) -> None:
        """End the bar; what it shows stays."""
        if self._bar is not None:
            self._bar.close()
        self._bar, self._title = None, ""

    def _count_runs(self, event: RunsDone) -> None:
        if self._title != _RUNS:
            self._begin(_RUNS, _BLOCKS, unit="images", total=event.num_runs)
        self._to(event.num_done)

    def _show_training(self, event: TrainEvent) -> None:
        if self._title != _TRAINING:
            self._begin(_TRAINING, _SHARE, total=1.0)
        if isinstance(event, StepDone):
            self._shown["loss"] = f"{event.loss:.3f}"
            self._to(event.share)
        elif isinstance(event, Validated):
            self._shown["score"] = f"{event.score:.3f}"
        doing = f"{event.stage}: " if isinstance(event, AtWork) and event.share < 1 else ""
        values = ", ".join(f"{name} {value}" for name, value in self._shown.items())
        if self._bar is not None:
            self._bar.set_postfix_str(f"{doing}{values}", refresh=bool(doing))

    def _begin(self, title: str, form: str, **given: Any) -> None:
        self.close()
        self._title = title
        self._bar = tqdm(desc=title, bar_format=form, file=sys.stderr, **given)

    def _to(self, number: float) -> None:
        if self._bar is not None:
            self._bar.update(number - self._bar.n)
