"""The line of a preview on stderr: how many blocks are done, and the time of each."""

from __future__ import annotations

import sys

import click

from bigunet.events import BlockDone, Event, Notice, StageBegun
from bigunet.previewing.pace import Pace

_CLEAR = "\r\033[K"


class PreviewLine:
    """Draws the events of a preview, if stderr is a terminal."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown
        self._pace: Pace | None = None
        self._is_drawn = False

    def __call__(self, event: Event) -> None:
        """Draw one event; a notice for people is printed in any case."""
        if isinstance(event, Notice):
            self.clear()
            click.echo(event.text, err=True)
        elif isinstance(event, StageBegun):
            self._pace = Pace(event.num_done, event.num_blocks)
            if self._shown and event.dashboard:
                click.echo(f"dashboard: {event.dashboard}", err=True)
        elif isinstance(event, BlockDone) and self._pace is not None:
            self._pace.add(event.result)
            self._draw(self._pace.line)

    def clear(self) -> None:
        """Take the line away."""
        if self._is_drawn:
            click.echo(_CLEAR, nl=False, err=True)
        self._is_drawn = False

    def _draw(self, line: str) -> None:
        if self._shown and sys.stderr.isatty():
            click.echo(f"{_CLEAR}{line}", nl=False, err=True)
            self._is_drawn = True
