"""The progress bar of a segmentation on stderr: blocks, megapixels per second, time left."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

import click
from tqdm import tqdm

from bigunet.events import BlockDone, Event, Notice, StageBegun

_FORMAT = "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} {unit}{postfix} {remaining} left"


class BlockBar:
    """Draws the events of a run, if stderr is a terminal."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown
        self._bar: tqdm[Any] | None = None
        self._is_dashboard_said = False
        self._voxels = 0
        self._begun = 0.0

    def __enter__(self) -> BlockBar:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def __call__(self, event: Event) -> None:
        """Draw one event; a notice for people is printed even where no bar is drawn."""
        if isinstance(event, Notice):
            click.echo(event.text, err=True)
            return
        if not self._shown:
            return
        if isinstance(event, StageBegun):
            self._say_dashboard(event.dashboard, event.panel)
            self._begin(event)
        elif isinstance(event, BlockDone):
            self._advance(event)

    def _say_dashboard(self, dashboard: str, panel: str) -> None:
        """Print the address of the dashboard once, on a terminal and in a log alike."""
        if dashboard and not self._is_dashboard_said:
            addresses = f"{dashboard}, map: {panel}" if panel else dashboard
            click.echo(f"dashboard: {addresses}", err=True)
            self._is_dashboard_said = True

    def _begin(self, event: StageBegun) -> None:
        self._close()
        self._voxels, self._begun = 0, time.perf_counter()
        self._bar = tqdm(
            total=event.num_blocks,
            initial=event.num_done,
            desc=event.stage,
            unit="block" if event.num_blocks == 1 else "blocks",
            bar_format=_FORMAT,
            disable=None,
        )

    def _advance(self, event: BlockDone) -> None:
        if self._bar is None:
            return
        if smaller := event.result.get("smaller_tile"):
            tqdm.write(
                f"out of memory: going on with tiles of {smaller}, which give the same labels",
                sys.stderr,
            )
        self._voxels += event.result["voxels"]
        speed = self._voxels / 1e6 / max(time.perf_counter() - self._begun, 1e-9)
        self._bar.set_postfix_str(f"{speed:.1f} Mpx/s", refresh=False)
        self._bar.update()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
        self._bar = None
