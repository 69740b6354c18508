"""Segment an image into an OME-Zarr: the main verb of bigunet."""

from __future__ import annotations

import threading
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Unpack

from distributed import Client

from bigunet.arrays.voxel_sizes import VoxelSize
from bigunet.engine.clusters.spec import ClusterSpec
from bigunet.engine.dashboard.performance import check_report
from bigunet.event_bar import drawn
from bigunet.events import OnEvent
from bigunet.io.sources.array_source import Array
from bigunet.machine.processes import leave_if_imported_again
from bigunet.measuring.files import copy_table
from bigunet.model.model import Model
from bigunet.options.choices import Existing
from bigunet.options.option_fields import chosen
from bigunet.segmentation.execution import Outcome, execute
from bigunet.segmentation.instances.object_table import table_file
from bigunet.segmentation.planned_run import PlannedRun, open_record, plan_run
from bigunet.segmentation.report_file import is_record_file, keep_report, page_path, write_report
from bigunet.segmentation.request import SegmentRequest, resolve_request
from bigunet.segmentation.run.part import Part
from bigunet.segmentation.run_file import write_run_file
from bigunet.segmentation.segment_keywords import SegmentKeywords
from bigunet.segmentation.segment_options import SegmentOptions
from bigunet.segmentation.segment_report import SegmentReport
from bigunet.segmentation.segment_source import AboutArray, segment_source
from bigunet.segmentation.series_table import check_table


def segment(
    source: str | Path | Array,
    target: str | Path | None = None,
    *,
    model: str | Path | Model = "nuclei",
    options: SegmentOptions | None = None,
    client: Client | ClusterSpec | None = None,
    existing: Existing = "refuse",
    part: Part | str | None = None,
    stop: threading.Event | None = None,
    on_event: OnEvent | None = None,
    progress: bool = False,
    performance_path: str | Path | None = None,
    table: str | Path | None = None,
    voxel_size_um: VoxelSize | None = None,
    scratch: str | Path | None = None,
    **fields: Unpack[SegmentKeywords],
) -> SegmentReport:
    """Segment an image exactly as one pass over the mirrored whole image would.

    It writes the result, and returns a report. `predict` takes an array and returns arrays.

    Parameters
    ----------
    source : path, URL or array
        OME-Zarr image 0.1 to 0.6, or a bare zarr array; or the path of a TIFF, slide, picture, CZI,
        ND2 or LIF file, with ``#2`` behind it for the image with the index 2. Or an array of
        numpy, dask or xarray, as for `predict`; it needs a target, and is copied part by part into
        a temporary folder for the time of the run.
    target : path, optional
        Path of the output: an OME-Zarr with `labels/classes` and the other outputs of the options.
        By default labels and tables inside the image, with the version and levels of the image.
    model : str, path or Model
        A bundled model's name, a model file, or `Model.of_module(...)` for a module of your own.
    options : SegmentOptions, optional
    client : distributed.Client or ClusterSpec, optional
        Workers that are there, or those to start. By default one on this machine: in threads of
        this process for a small image, else in a process of its own.
    existing : {"refuse", "resume", "overwrite"}
        What to do if the target exists. A part always resumes it.
    part : str, optional
        Such as ``"2/8"``: segment only the blocks of this part, while other processes segment the
        other parts. The part that ends last finishes the output.
    stop : threading.Event, optional
        If it is set, no further block begins. The run ends with StoppedError when the blocks that
        have begun are done; these are at most two for each thread.
    on_event : callable, optional
        Receives each event of the run: a `StageBegun`, a `BlockDone`, or a `Notice`.
    progress : bool
        Whether to draw a progress bar: a widget in a notebook, else text on stderr.
    performance_path : path, optional
        HTML file for Dask's performance report, which shows what each worker did at which time.
    table : path, optional
        File for the table of the objects, ``.csv`` or ``.parquet``, beside that of the output.
    voxel_size_um : float, sequence of float, or mapping of str to float, optional
        For arrays, as for `predict`.
    scratch : path, optional
        For arrays: folder for the temporary folder; by default that of the target.
    **fields
        Fields of SegmentOptions, such as ``level=1, channels=["DAPI"]``.

    Returns
    -------
    SegmentReport

    Raises
    ------
    BigUNetError
        A subclass of it, for each error that the caller can correct.

    References
    ----------
    Overlap-tile strategy: Ronneberger et al. 2015, doi:10.1007/978-3-319-24574-4_28.
    """
    leave_if_imported_again()
    check_report(performance_path)
    options = chosen(SegmentOptions, options, fields, segment)
    about = AboutArray(voxel_size_um, scratch)
    run: dict[str, Any] = {"existing": existing, "part": part, "workers": client}
    with (
        drawn(on_event, progress=progress) as hear,
        segment_source(source, target, options, about, **run) as read,
    ):
        request = resolve_request(read.image, target, model=model, options=read.options, **run)
        if table is not None:
            check_table(Path(table), request.model.description, request.options)
        planned, record = open_record(request, plan_run(request, hear))
        with execute(
            request, planned, record, stop=stop, on_event=hear, performance_path=performance_path
        ) as outcome:
            report = _report(request, planned, outcome)
            _keep(read.shown(report), request)
            if report.finished and not report.already_finished:
                place = request.place.folder
                given: dict[str, Any] = {"model": model, "options": options, "table": table}
                write_run_file(place, source, target, **given)
            if table is not None and report.table:
                copy_table(Path(report.table), Path(table))
            return read.shown(_with_page(report, request, read.called, hear))


def _report(request: SegmentRequest, planned: PlannedRun, outcome: Outcome) -> SegmentReport:
    written = outcome.written
    return SegmentReport(
        plan=outcome.plan,
        output=str(request.place.folder),
        normalisation=planned.normalisation,
        fit=planned.fit,
        seconds=outcome.seconds,
        blocks_done=written.blocks_done,
        objects=written.objects,
        table=str(table_file(request.place) or "") if outcome.plan.writes_table else "",
        finished=written.finished,
        peak_memory_bytes=outcome.peak_memory_bytes,
        dashboard=outcome.dashboard,
        already_finished=outcome.already_finished,
        **asdict(written.totals),
    )


def _keep(report: SegmentReport, request: SegmentRequest) -> None:
    """Write the report of a finished output next to the ledger."""
    if report.already_finished:
        keep_report(request.place.folder, report.to_dict())
    elif report.finished:
        write_report(request.place.folder, report.to_dict())


def _with_page(
    report: SegmentReport, request: SegmentRequest, called: str, on_event: OnEvent | None
) -> SegmentReport:
    """The report with its page, which is written unless that of the finished output is there."""
    place, options = request.place, request.options
    if options.no_report or not report.finished:
        return report
    path = page_path(place.folder)
    if report.already_finished and is_record_file(path):
        return replace(report, page=str(path))
    # Imported here: nothing else needs pictures.
    from bigunet.segmentation.page.page import write_page

    written = write_page(report, place, options, on_event, called=called)
    return replace(report, page=str(written or ""))
