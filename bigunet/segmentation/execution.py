"""Runs what was planned: starts the workers, measures tiles, writes blocks, keeps the lock."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from distributed import Client

from bigunet.engine.clusters.client import check_client, workers_per_cores
from bigunet.engine.dashboard.performance import performance_report
from bigunet.engine.dashboard.watch import Watch
from bigunet.events import OnEvent
from bigunet.machine.memory import MemoryWatch
from bigunet.segmentation.plan.convolution_choice import with_measured_convolution
from bigunet.segmentation.plan.segment_plan import SegmentPlan
from bigunet.segmentation.plan.tuning import tuned
from bigunet.segmentation.planned_run import PlannedRun
from bigunet.segmentation.request import SegmentRequest
from bigunet.segmentation.run.finished import find_finished
from bigunet.segmentation.run.record import RunRecord
from bigunet.segmentation.run.run import Run, Written
from bigunet.segmentation.run.stage_runner import StageRunner
from bigunet.segmentation.workers import open_workers, outlive_run
from bigunet.urls import shown_url


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did.

    Parameters
    ----------
    plan : SegmentPlan
        The plan with measured tiles, if the options ask to measure them.
    written : Written
    seconds : float
        Time from the first block to the last byte.
    dashboard : str
        Address of Dask's dashboard; empty if there was none.
    peak_memory_bytes : int
        Memory of this process and its children.
    already_finished : bool
        Whether an earlier run had finished the output.
    """

    plan: SegmentPlan
    written: Written
    seconds: float
    dashboard: str
    peak_memory_bytes: int = 0
    already_finished: bool = False


@contextlib.contextmanager
def execute(
    request: SegmentRequest,
    planned: PlannedRun,
    record: RunRecord,
    *,
    stop: threading.Event | None = None,
    on_event: OnEvent | None = None,
    performance_path: str | Path | None = None,
) -> Iterator[Outcome]:
    """Run what was planned. The finished output stays locked until the context is left.

    Parameters are those of `segment`.

    Raises
    ------
    BigUNetError
        If the run fails, or is stopped.
    """
    earlier = _find_finished(request, planned, record)
    if earlier is not None:
        yield earlier
        return
    # This stack is left after the workers: the ledger stays locked until none of them can write.
    with contextlib.ExitStack() as locks:
        with (
            MemoryWatch() as memory,
            open_workers(request.workers, on_event, stop) as client,
            _performance_report(client, performance_path, request),
        ):
            planned, record = as_workers_begin(planned, record, client)
            with Watch(client, str(request.place.folder)) as watch:
                runner = StageRunner(client, watch, outlive_run(request.workers), stop, on_event)
                run = Run(planned.plan, planned.normalisation, record, runner)
                outcome = _write(run, request, locks)
        yield replace(outcome, peak_memory_bytes=memory.peak_bytes)


def _find_finished(
    request: SegmentRequest, planned: PlannedRun, record: RunRecord
) -> Outcome | None:
    """The outcome of a run that has nothing left to do; it starts no worker."""
    if request.existing != "resume" or request.part is not None:
        return None
    with MemoryWatch() as memory:
        written = find_finished(planned.plan, record)
    if written is None:
        return None
    return Outcome(planned.plan, written, 0.0, "", memory.peak_bytes, already_finished=True)


@contextlib.contextmanager
def _performance_report(
    client: Client, path: str | Path | None, request: SegmentRequest
) -> Iterator[None]:
    """Check the workers, then record what they do for Dask's performance report."""
    check_client(client)
    title = f"{shown_url(request.image.url)} to {request.place.folder}"
    with performance_report(client, path, title):
        yield


def as_workers_begin(
    planned: PlannedRun, record: RunRecord, client: Client
) -> tuple[PlannedRun, RunRecord]:
    """Plan and record when the workers are there; with what is to be measured on them."""
    plan = planned.plan
    if planned.measure_convolution:
        plan = with_measured_convolution(
            plan,
            planned.normalisation.values,
            client,
            workers_per_host=workers_per_cores(client),
        )
    if planned.tune:
        per_host = workers_per_cores(client)
        plan = tuned(plan, client, workers_per_host=per_host, slab=planned.slab)
    return replace(planned, plan=plan), record.renewed(plan)


def _write(run: Run, request: SegmentRequest, locks: contextlib.ExitStack) -> Outcome:
    begun = time.perf_counter()
    if request.part is None:
        ledger = locks.enter_context(run.record.open(request.existing))
        written = run.write_all(ledger)
    else:
        written = run.write_part(request.part, locks)
    seconds = time.perf_counter() - begun
    return Outcome(run.plan, written, seconds, run.stage_runner.dashboard)
