"""Segment an image into an OME-Zarr: plan, run the stages, publish. The project's main job."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Unpack

from distributed import Client

from bigunet.choices import Existing
from bigunet.engine.clusters.client import (
    check_can_start,
    check_client,
    open_client,
    workers_per_cores,
    workers_per_host,
)
from bigunet.engine.clusters.job_memory import memory_limit_of
from bigunet.engine.clusters.job_options import job_memory_bytes
from bigunet.engine.clusters.spec import ClusterSpec
from bigunet.engine.dashboard.performance import check_report, performance_report
from bigunet.engine.dashboard.watch import Watch
from bigunet.engine.stage import Event, Notice
from bigunet.errors import ImageError, OptionError
from bigunet.io.images.discovery import open_multiscale
from bigunet.io.images.multiscale import Multiscale
from bigunet.io.images.plates import is_plate
from bigunet.machine.memory import MemoryWatch
from bigunet.machine.processes import leave_if_imported_again
from bigunet.model.files.model_file import load_model
from bigunet.model.model import Model
from bigunet.option_fields import chosen
from bigunet.segmentation.place import Place, choose_place
from bigunet.segmentation.plan.fit import Fit, check_fit
from bigunet.segmentation.plan.normalisation import FixedNormalisation, fix_normalisation
from bigunet.segmentation.plan.plan import SegmentPlan, make_plan
from bigunet.segmentation.plan.tuning import tuned
from bigunet.segmentation.plan.worker_choice import gpu_bytes, settled, voxels_of
from bigunet.segmentation.report_file import keep_report, write_report
from bigunet.segmentation.run.device import torch_as_before
from bigunet.segmentation.run.part import Part
from bigunet.segmentation.run.record import check_target, chosen_before, found_run, open_ledger
from bigunet.segmentation.run.run import Job, find_finished, run_all, run_part
from bigunet.segmentation.segment_keywords import SegmentKeywords
from bigunet.segmentation.segment_options import SegmentOptions
from bigunet.segmentation.segment_report import SegmentReport, totals_of
from bigunet.urls import shown_url, without_secrets

logger = logging.getLogger(__name__)


def segment(
    source: str | Path,
    target: str | Path | None = None,
    *,
    model: str | Path | Model = "nuclei",
    options: SegmentOptions | None = None,
    client: Client | ClusterSpec | None = None,
    existing: Existing = "refuse",
    part: Part | None = None,
    stop: threading.Event | None = None,
    on_event: Callable[[Event, str], None] | None = None,
    performance_path: str | Path | None = None,
    **fields: Unpack[SegmentKeywords],
) -> SegmentReport:
    """Segment an OME-Zarr image exactly as one pass over the mirrored whole image would.

    Parameters
    ----------
    source : path or URL
        OME-Zarr image 0.1 to 0.5, or a bare zarr array.
    target : path, optional
        Where the output goes: an OME-Zarr with `labels/classes` and what else the options name.
        By default the label `classes` of the image itself, with its version and levels.
    model : str, path or Model
        A bundled model's name, a model file, or `Model.of_module(...)` for a module of your own.
    options : SegmentOptions, optional
    client : distributed.Client or ClusterSpec, optional
        Workers that are there, or those to start; by default one on this machine: in threads of
        this process for small images, else a process.
    existing : {"refuse", "resume", "overwrite"}
        What to do when the target is there; a part goes on with it in any case.
    part : Part, optional
        The blocks of this part alone, beside other processes that do the other parts; the one
        that ends last finishes the output.
    stop : threading.Event, optional
        Once it is set, no further block is handed out, and the run ends with StoppedError when
        those handed out, two for each thread at most, are done.
    on_event : callable, optional
        Told of each stage and each block, and of what people should know about the workers, with
        the dashboard's address.
    performance_path : path, optional
        HTML file for Dask's performance report: what each worker did when.
    **fields
        Fields of SegmentOptions, such as ``level=1, channels=["DAPI"]``.

    Returns
    -------
    SegmentReport

    Raises
    ------
    BigUNetError
        One of its subclasses, for all that the caller can do something about.

    References
    ----------
    Overlap-tile strategy: Ronneberger et al. 2015, doi:10.1007/978-3-319-24574-4_28.
    """
    leave_if_imported_again()
    check_report(performance_path)
    options = chosen(SegmentOptions, options, fields, segment)
    image = _open(source, target, options.axes)
    _check_part(part, options, existing)
    place = choose_place(image, target, options)
    options = replace(options, ome_version=place.version)
    loaded = model if isinstance(model, Model) else load_model(model)
    client = settled(client, options.device, voxels_of(image, options))
    if isinstance(client, ClusterSpec):
        # Before anything is read that takes time.
        check_can_start(client)
    workers_here, gpus = _workers_per_machine(client), gpu_bytes(client, options.device)
    memory_here = memory_of_a_job(client)

    def fitted() -> SegmentOptions:
        goes_on = existing == "resume" or part is not None
        return options.completed(chosen_before(place.folder)) if goes_on else options

    def planned() -> SegmentPlan:
        return make_plan(
            image, loaded, fitted(), workers=workers_here, memory_bytes=memory_here,
            gpu_bytes=gpus, inside_image=place.inside_image,
        )  # fmt: skip

    plan, tune = planned(), options.tune and not fitted().tile_shape
    check_target(
        place,
        plan.image.url,
        existing="resume" if part is not None else existing,
        read=options.read_besides,
    )
    normalisation, bulk = fix_normalisation(plan)
    fit = check_fit(plan, normalisation, bulk)
    for line in (*image.notes, *fit.warnings):
        _tell(line, on_event)
    if part is not None and not found_run(place, plan, normalisation):
        # Another part began it meanwhile, and what that one chose holds for all.
        plan = planned()
    if existing == "resume" and part is None:
        report = _finished_before(place, plan, normalisation, fit)
        if report is not None:
            return report
    with contextlib.ExitStack() as held:
        # The ledger, entered last and left last: locked until workers started here are gone.
        with (
            MemoryWatch() as memory,
            clients_of(client, on_event, stop) as workers,
            contextlib.ExitStack() as watched,
        ):
            check_client(workers)
            watched.enter_context(
                performance_report(
                    workers, performance_path, f"{shown_url(image.url)} to {place.folder}"
                )
            )
            if tune:
                plan = tuned(plan, workers, workers_per_host=workers_per_cores(workers))
            watch = watched.enter_context(Watch(workers, str(place.folder)))
            job = Job(plan, normalisation, place, workers, _outlive(client), stop, watch, on_event)
            dashboard = workers.dashboard_link or ""
            begun = time.perf_counter()
            if part is None:
                ledger = held.enter_context(
                    open_ledger(place, plan, normalisation, existing=existing)
                )
                blocks_done = run_all(job, ledger)
                totals, finished = totals_of(plan, ledger), True
            else:
                blocks_done, totals, finished = run_part(job, part, held)
            seconds = time.perf_counter() - begun
        report = SegmentReport(
            plan=plan,
            output=str(place.folder),
            normalisation=normalisation,
            fit=fit,
            seconds=seconds,
            blocks_done=blocks_done,
            finished=finished,
            peak_memory_bytes=memory.peak_bytes,
            dashboard=dashboard,
            **totals,
        )
        if finished:
            write_report(place.folder, report.to_dict())
    return report


def _tell(line: str, on_event: Callable[[Event, str], None] | None) -> None:
    """Say what a person should know: as an event, or in the log where nobody listens."""
    if on_event is None:
        logger.warning("%s", without_secrets(line))
    else:
        on_event(Notice(f"Warning: {line}"), "")


def _finished_before(
    place: Place, plan: SegmentPlan, normalisation: FixedNormalisation, fit: Fit
) -> SegmentReport | None:
    """The report on a run that had nothing left to do, where that is so; no worker is started."""
    with MemoryWatch() as memory:
        totals = find_finished(place, plan, normalisation)
    if totals is None:
        return None
    report = SegmentReport(
        plan=plan,
        output=str(place.folder),
        normalisation=normalisation,
        fit=fit,
        seconds=0.0,
        blocks_done=0,
        finished=True,
        peak_memory_bytes=memory.peak_bytes,
        dashboard="",
        already_finished=True,
        **totals,
    )
    keep_report(place.folder, report.to_dict())
    return report


def _check_part(part: Part | None, options: SegmentOptions, existing: Existing) -> None:
    """Raise OptionError if the options ask for what no part may decide for the others."""
    if part is None:
        return
    if existing == "overwrite":
        raise OptionError(
            "a part cannot overwrite what other parts write: remove the output, then start them"
        )
    if options.tune:
        raise OptionError("parts must have the same tiles, but each would measure its own: no tune")


def _workers_per_machine(client: Client | ClusterSpec | None) -> int:
    """How many share a machine's memory; of a cluster that is not connected yet, one."""
    if isinstance(client, Client):
        return workers_per_host(client)
    return client.workers_per_machine if isinstance(client, ClusterSpec) else 1


def memory_of_a_job(client: Client | ClusterSpec | None) -> int:
    """What may be taken of each job's memory, in bytes; 0 if workers are no jobs."""
    known = job_memory_bytes(client) if isinstance(client, ClusterSpec) else 0
    return memory_limit_of(known) if known else 0


def _outlive(client: Client | ClusterSpec | None) -> bool:
    """Whether the workers go on after the run."""
    return isinstance(client, Client) or (client is not None and client.scheduler is not None)


def _open(source: str | Path, target: str | Path | None, axes: str) -> Multiscale:
    try:
        return open_multiscale(source, axes=axes)
    except ImageError as error:
        if not is_plate(source):
            raise
        way = "segment all with segment_fields" if target is None else "give no OUT to segment all"
        raise OptionError(f"{error}; or {way}") from error


def clients_of(
    client: Client | ClusterSpec | None,
    on_event: Callable[[Event, str], None] | None = None,
    stop: threading.Event | None = None,
) -> contextlib.AbstractContextManager[Client]:
    """The client that is there, which stays open, or one to be started and closed."""
    if isinstance(client, Client):
        return contextlib.nullcontext(client)
    if client is not None and not isinstance(client, ClusterSpec):
        raise OptionError(f"client is {client!r}: give a distributed.Client or a ClusterSpec")
    tell = None if on_event is None else lambda line: on_event(Notice(line), "")
    spec = client or ClusterSpec()
    opened = open_client(spec, tell, stop)
    return _in_this_process(opened) if spec.kind == "threads" else opened


@contextlib.contextmanager
def _in_this_process(opened: contextlib.AbstractContextManager[Client]) -> Iterator[Client]:
    with torch_as_before(), opened as client:
        yield client
