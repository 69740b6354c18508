"""Write an image of any format as OME-Zarr, out of core and in parallel."""

from __future__ import annotations

import logging
import math
import threading
import time
from pathlib import Path
from typing import Unpack

from distributed import Client

from bigunet.conversion.conversion import Conversion, is_finished
from bigunet.conversion.convert_options import ConvertKeywords, ConvertOptions
from bigunet.conversion.convert_plan import ConvertPlan
from bigunet.conversion.convert_record import ConvertRecord, check_place
from bigunet.conversion.convert_report import ConvertReport
from bigunet.engine.clusters.client import check_can_start, check_client
from bigunet.engine.clusters.spec import ClusterSpec
from bigunet.engine.dashboard.watch import Watch
from bigunet.event_bar import drawn
from bigunet.events import Notice, OnEvent
from bigunet.io.files.opening import open_image
from bigunet.machine.memory import MemoryWatch
from bigunet.machine.processes import leave_if_imported_again
from bigunet.options.choices import Existing
from bigunet.options.option_fields import chosen
from bigunet.options.option_kinds import check_existing
from bigunet.segmentation.place import place_at
from bigunet.segmentation.plan.worker_choice import WorkerChoice, settled
from bigunet.segmentation.run.progress import has_begun
from bigunet.segmentation.run.stage_runner import StageRunner
from bigunet.segmentation.workers import open_workers, outlive_run
from bigunet.urls import without_secrets

logger = logging.getLogger(__name__)


def convert(
    source: str | Path,
    target: str | Path,
    *,
    options: ConvertOptions | None = None,
    client: Client | ClusterSpec | None = None,
    existing: Existing = "refuse",
    stop: threading.Event | None = None,
    on_event: OnEvent | None = None,
    progress: bool = False,
    **fields: Unpack[ConvertKeywords],
) -> ConvertReport:
    """Write an image as OME-Zarr with a pyramid; level 0 has the very voxels of the image.

    Parameters
    ----------
    source : path or URL
        A TIFF, slide, picture, CZI, ND2 or LIF file, or a zarr. Behind the path of a file with
        several images, ``#2`` stands for the image with this index.
    target : path
        Path of the output.
    options : ConvertOptions, optional
    client : distributed.Client or ClusterSpec, optional
        Workers that are there, or those to start; as for `segment`.
    existing : {"refuse", "resume", "overwrite"}
        What to do if the target exists.
    stop : threading.Event, optional
        If it is set, no further block begins, and the conversion ends with StoppedError.
    on_event : callable, optional
        Receives each event of the run, as `segment` passes them on.
    progress : bool
        As for `segment`.
    **fields
        Fields of ConvertOptions, such as ``ome_version="0.4"``.

    Returns
    -------
    ConvertReport

    Raises
    ------
    BigUNetError
        A subclass of it, for each error that the caller can correct.
    """
    leave_if_imported_again()
    options = chosen(ConvertOptions, options, fields, convert)
    existing = check_existing(existing)
    image = open_image(source, axes=options.axes)
    place = place_at(target, options.ome_version)
    plan = ConvertPlan.of(image, place, options)
    check_place(place, image.url, existing)
    _say(image.notes, on_event)
    workers = settled(client, "cpu", math.prod(image.levels[0].shape))
    if isinstance(workers, ClusterSpec):
        check_can_start(workers)
    record = ConvertRecord.of(plan, place)
    if existing == "resume" and has_begun(place.folder):
        with record.opened("resume") as ledger:
            if is_finished(plan, ledger):
                return ConvertReport.of(plan, already_finished=True)
    with drawn(on_event, progress=progress) as hear:
        return _run(plan, record, workers, existing, stop, hear)


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


def _say(notes: tuple[str, ...], on_event: OnEvent | None) -> None:
    for line in notes:
        if on_event is None:
            logger.warning("%s", without_secrets(line))
        else:
            on_event(Notice(f"Warning: {line}"))
