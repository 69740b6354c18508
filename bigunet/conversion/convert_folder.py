"""Runs the conversion of an image to a folder: workers, record, blocks."""

from __future__ import annotations

import math
import threading
import time

from distributed import Client

from bigunet.conversion.conversion import Conversion, is_finished
from bigunet.conversion.convert_plan import ConvertPlan
from bigunet.conversion.convert_record import ConvertRecord
from bigunet.conversion.convert_report import ConvertReport
from bigunet.engine.clusters.client import check_can_start, check_client
from bigunet.engine.clusters.spec import ClusterSpec
from bigunet.engine.dashboard.watch import Watch
from bigunet.events import OnEvent
from bigunet.machine.memory import MemoryWatch
from bigunet.options.choices import Existing
from bigunet.segmentation.place import Place
from bigunet.segmentation.plan.worker_choice import WorkerChoice, settled
from bigunet.segmentation.run.progress import has_begun
from bigunet.segmentation.run.stage_runner import StageRunner
from bigunet.segmentation.workers import open_workers, outlive_run


def convert_to_folder(
    plan: ConvertPlan,
    place: Place,
    client: Client | ClusterSpec | None,
    *,
    existing: Existing,
    stop: threading.Event | None,
    on_event: OnEvent | None,
) -> ConvertReport:
    """Begin or continue a conversion, with the arguments of `bigunet.convert`.

    Raises
    ------
    BigUNetError
        As `bigunet.convert`.
    """
    workers = settled(client, "cpu", math.prod(plan.image.levels[0].shape))
    if isinstance(workers, ClusterSpec):
        check_can_start(workers)
    record = ConvertRecord.of(plan, place)
    if existing == "resume" and has_begun(place.folder):
        with record.opened("resume") as ledger:
            if is_finished(plan, ledger):
                return ConvertReport.of(plan, already_finished=True)
    return _run(plan, record, workers, existing, stop, on_event)


def _run(
    plan: ConvertPlan,
    record: ConvertRecord,
    workers: WorkerChoice,
    existing: Existing,
    stop: threading.Event | None,
    on_event: OnEvent | None,
) -> ConvertReport:
    # The ledger stays locked until no worker can write any more.
    with (
        MemoryWatch() as memory,
        record.opened(existing) as ledger,
        open_workers(workers, on_event, stop) as client,
    ):
        check_client(client)
        with Watch(client, str(record.place.folder)) as watch:
            runner = StageRunner(client, watch, outlive_run(workers), stop, on_event)
            begun = time.perf_counter()
            num_blocks = Conversion(plan, record, runner).write_all(ledger)
            seconds = time.perf_counter() - begun
    return ConvertReport.of(
        plan, blocks_done=num_blocks, seconds=seconds, peak_memory_bytes=memory.peak_bytes
    )
