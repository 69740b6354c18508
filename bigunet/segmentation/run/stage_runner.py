"""Runs stages on workers, counts blocks, and passes events on to the caller and the dashboard."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from distributed import Client

from bigunet.engine.clusters.client import workers_per_cores
from bigunet.engine.dashboard.watch import Watch
from bigunet.engine.ledger import Ledger
from bigunet.engine.runner import Runner
from bigunet.engine.stage import Stage
from bigunet.events import BlockDone, Event, Notice, OnEvent, StageBegun
from bigunet.segmentation.run.stages import SEGMENT


@dataclass(frozen=True)
class StageRunner:
    """The workers of a run, and who hears of its events.

    Parameters
    ----------
    client : distributed.Client
    watch : Watch
        Shows the run on the dashboard.
    patient : bool
        Whether the workers stay after the run, so that the run waits for its blocks at its end.
    stop : threading.Event, optional
        Ends the run once it is set.
    on_event : callable, optional
        Receives each event.
    """

    client: Client
    watch: Watch
    patient: bool
    stop: threading.Event | None = None
    on_event: OnEvent | None = None

    @property
    def workers_per_host(self) -> int:
        """Workers that share the cores of a host."""
        return workers_per_cores(self.client)

    @property
    def dashboard(self) -> str:
        """Address of Dask's dashboard; empty if there is none."""
        return self.client.dashboard_link or ""

    def notice(self, text: str) -> None:
        """Tell the caller something about the run."""
        self.pass_on(Notice(text))

    def run(
        self,
        stages: tuple[Stage, ...],
        ledger: Ledger,
        *,
        output: str,
        may_go_on: Callable[[], bool],
    ) -> int:
        """Run the blocks that the ledger does not call done, stage after stage.

        Parameters
        ----------
        stages : tuple of Stage
        ledger : Ledger
            Records each finished block.
        output : str
            Path of the output, for messages.
        may_go_on : callable
            Called between two stages; if it returns False, no further stage begins.

        Returns
        -------
        int
            Number of blocks that were segmented.
        """
        num_done = 0
        with Runner(
            self.client, stages, output=output, patient=self.patient, stop=self.stop
        ) as runner:
            for stage in stages:
                if stage is not stages[0] and not may_go_on():
                    break
                for event in runner.run(stage, ledger):
                    num_done += isinstance(event, BlockDone) and event.stage == SEGMENT
                    self.pass_on(self.watch.see(event, stage, ledger.done(stage.name)))
                ledger.check_place()
        return num_done

    def pass_on(self, event: Event) -> None:
        """Pass an event on to the caller."""
        if self.on_event is not None:
            if isinstance(event, StageBegun):
                event = replace(event, dashboard=self.dashboard)
            self.on_event(event)
