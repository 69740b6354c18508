"""The progress bar of a stage of a training: reading, validation or pictures, not its steps."""

from __future__ import annotations

import time
from typing import Any

import click
from tqdm import tqdm

from bigunet.events import AtWork

_FORMAT = "{desc} {percentage:3.0f}%|{bar}| {remaining} left"
_SILENT_SECONDS = 10.0
"""Time between two lines about a stage, without a terminal."""


class StageBar:
    """Draws one stage after another; without a terminal, prints a line every ten seconds."""

    def __init__(self) -> None:
        self._stage = ""
        self._said = 0.0
        self._bar: tqdm[Any] | None = None

    def __call__(self, event: AtWork) -> None:
        """Draw the progress of a stage."""
        if event.stage != self._stage or (event.share == 0 and self._bar is not None):
            self._begin(event.stage)
        if self._bar is None:
            return
        if self._bar.disable and time.monotonic() - self._said > _SILENT_SECONDS:
            click.echo(f"{event.stage}: {event.share:.0%}", err=True)
            self._said = time.monotonic()
        self._bar.update(event.share - self._bar.n)
        if event.share >= 1:
            self.close()

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
        self._bar = None
        self._stage = ""

    def _begin(self, stage: str) -> None:
        self.close()
        self._stage = stage
        self._said = time.monotonic()
        self._bar = tqdm(total=1.0, desc=stage, bar_format=_FORMAT, leave=False, disable=None)
