"""Opens an output as a run does, and computes its blocks on request."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from bigunet.engine.clusters.client import check_client
from bigunet.engine.dashboard.watch import Watch
from bigunet.engine.ledger import Ledger
from bigunet.engine.on_demand import OnDemand
from bigunet.events import BlockDone, Event, Notice, OnEvent, StageBegun
from bigunet.io.output.output_image import OutputImage
from bigunet.options.choices import Output
from bigunet.previewing.blocks_done import BlocksDone
from bigunet.previewing.computed_output import ComputedOutput
from bigunet.previewing.pace import Pace
from bigunet.segmentation.execution import as_workers_begin
from bigunet.segmentation.output_kinds import MADE_OF_CLASSES
from bigunet.segmentation.plan.normalisation import FixedNormalisation
from bigunet.segmentation.plan.segment_plan import SegmentPlan
from bigunet.segmentation.planned_run import open_record, plan_run
from bigunet.segmentation.request import SegmentRequest
from bigunet.segmentation.run.outputs import describe_outputs
from bigunet.segmentation.run.run import Run
from bigunet.segmentation.run.stage_runner import StageRunner
from bigunet.segmentation.run.stages import stage_name
from bigunet.segmentation.workers import open_workers, outlive_run


@dataclass(frozen=True)
class Session:
    """An output whose blocks are computed on request.

    Parameters
    ----------
    plan : SegmentPlan
    normalisation : FixedNormalisation
    blocks : OnDemand
    done : BlocksDone
    pace : Pace
    outputs : dict of str to ComputedOutput
        The classes, and the probabilities if they are written.
    """

    plan: SegmentPlan
    normalisation: FixedNormalisation
    blocks: OnDemand
    done: BlocksDone
    pace: Pace
    outputs: dict[Output, ComputedOutput]


@contextlib.contextmanager
def open_session(
    request: SegmentRequest, *, stop: threading.Event | None, on_event: OnEvent | None
) -> Iterator[Session]:
    """Open the output of a request. It stays locked until the context is left.

    Parameters are those of `segment`.

    Raises
    ------
    BigUNetError
        As `segment`.
    """
    planned, record = open_record(request, plan_run(request, on_event))
    # This stack is left after the workers: the ledger stays locked until none of them can write.
    with (
        contextlib.ExitStack() as locks,
        open_workers(request.workers, on_event, stop) as client,
    ):
        check_client(client)
        planned, record = as_workers_begin(planned, record, client)
        with Watch(client, str(request.place.folder)) as watch:
            patient = outlive_run(request.workers)
            runner = StageRunner(client, watch, patient, stop, on_event)
            run = Run(planned.plan, planned.normalisation, record, runner)
            ledger = locks.enter_context(record.open(request.existing))
            with _open_blocks(run, ledger, request) as session:
                yield session


@contextlib.contextmanager
def _open_blocks(run: Run, ledger: Ledger, request: SegmentRequest) -> Iterator[Session]:
    run.mend(ledger)
    stage, runner = run.segment_stage(), run.stage_runner
    done = BlocksDone(run.plan.output_grid, ledger.done(stage.name))
    pace = Pace(len(ledger.done(stage.name)), stage.num_blocks)
    described = describe_outputs(run.plan, request.place)

    def hear(event: Event) -> None:
        if isinstance(event, Notice):
            pace.trouble = event.text
        elif isinstance(event, BlockDone):
            pace.add(event.result)
            done.add(event.index)
        runner.pass_on(runner.watch.see(event, stage, ledger.done(stage.name)))

    hear(StageBegun(stage.name, len(ledger.done(stage.name)), stage.num_blocks))
    with OnDemand(
        runner.client,
        stage,
        ledger,
        output=str(request.place.folder),
        patient=runner.patient,
        on_event=hear,
    ) as blocks:
        outputs = {
            name: ComputedOutput(output, blocks, done, _levels_done(output, ledger))
            for name, output in described.items()
            if name not in MADE_OF_CLASSES
        }
        yield Session(run.plan, run.normalisation, blocks, done, pace, outputs)


def _levels_done(output: OutputImage, ledger: Ledger) -> frozenset[int]:
    """Groups of levels after the first that an earlier run has written whole."""
    layout = output.layout
    return frozenset(
        group
        for group in range(1, len(layout.groups))
        if len(ledger.done(stage_name(group))) == layout.num_blocks(group)
    )
