"""Segments the fields of a plate, several at a time. After a failure it goes on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Unpack

from distributed import Client

from bigunet.engine.clusters.spec import ClusterSpec
from bigunet.engine.dashboard.performance import check_report
from bigunet.errors import BigUNetError, ImageError, OptionError
from bigunet.events import Notice, OnEvent
from bigunet.io.images.limits import some_of
from bigunet.io.images.plates import Plate, open_plate
from bigunet.machine.processes import leave_if_imported_again
from bigunet.model.model import Model
from bigunet.options.choices import Existing
from bigunet.options.option_fields import chosen
from bigunet.options.option_kinds import check_existing
from bigunet.segmentation.model_choice import chosen_model
from bigunet.segmentation.place import check_inside_options
from bigunet.segmentation.plate_table import (
    check_plate_table,
    withdraw_plate_table,
    write_plate_table,
)
from bigunet.segmentation.segment_keywords import SegmentKeywords
from bigunet.segmentation.segment_options import SegmentOptions
from bigunet.segmentation.segment_report import SegmentReport
from bigunet.segmentation.series import segment_series
from bigunet.segmentation.series_member import Member
from bigunet.segmentation.series_table import (
    check_table,
    then_tables,
    write_table_of_all,
    writes_tables,
)
from bigunet.segmentation.well_choice import chosen_fields
from bigunet.stores.access import join_url, normal_url
from bigunet.urls import shown_url

logger = logging.getLogger(__name__)


def segment_fields(
    source: str | Path | Plate,
    *,
    wells: Sequence[str] = (),
    fields: Sequence[str] = (),
    model: str | Path | Model = "nuclei",
    options: SegmentOptions | None = None,
    client: Client | ClusterSpec | None = None,
    existing: Existing = "refuse",
    stop: threading.Event | None = None,
    on_event: OnEvent | None = None,
    progress: bool = False,
    performance_path: str | Path | None = None,
    table: str | Path | None = None,
    **keywords: Unpack[SegmentKeywords],
) -> Iterator[tuple[str, SegmentReport | BigUNetError]]:
    """Write labels into the stored fields of a plate or well.

    Several fields are at work at a time if one of them does not keep all workers busy. Fields
    that are at work when the caller leaves the loop are interrupted, and can be resumed.

    If objects are numbered, ``tables/instances`` of the plate is written after the last field. It
    has the rows of the tables of all fields, in the order of the plate, with the columns ``plate``,
    ``well`` and ``field``. Fields that were done before count if they were made with the same
    model and options.

    Parameters
    ----------
    source : path or Plate
        A plate or well, or the result of `local_plate`.
    wells : sequence of str
        Names or patterns of the wells, such as ``["A01", "B*"]``; by default all.
    fields : sequence of str
        Names or patterns of the fields of a well, such as ``["0", "3"]``; by default all.
    model, options, client, existing, stop, on_event, progress, performance_path, **keywords
        As for `segment`. The workers are started once, and there is one performance report for all
        fields. Events have the name of their field, and come from several threads, but never two
        at a time. Fields that the plate lists but does not store are a warning in the log.
    table : path, optional
        File for the table of the fields of this run, too: ``.csv`` or ``.parquet``.

    Yields
    ------
    tuple of str and (SegmentReport or BigUNetError)
        Path of a field relative to the plate, and its report or its error; in the order of the
        plate.

    Raises
    ------
    BigUNetError
        If there is no such field, or model or options fit none of them; StoppedError, if ``stop``
        was set before the end.
    """
    leave_if_imported_again()
    check_report(performance_path)
    options = chosen(SegmentOptions, options, keywords, segment_fields)
    check_inside_options(options)
    plate = chosen_fields(local_plate(source), wells, fields)
    for note in plate.notes:
        logger.warning(note)
    loaded = chosen_model(model, options)
    _prepare_tables(plate, loaded, options, table, check_existing(existing))
    outcomes = segment_series(
        [Member(field, join_url(plate.url, field), None) for field in plate.fields],
        kind="field",
        about=shown_url(plate.url),
        model=loaded,
        options=options,
        client=client,
        existing=existing,
        stop=stop,
        on_event=on_event,
        progress=progress,
        performance_path=performance_path,
    )

    def write(tables: Mapping[str, Path], failed: Sequence[str]) -> None:
        if left_out := write_plate_table(plate, tables, failed):
            line = _left_out(plate, left_out)
            logger.warning(line) if on_event is None else on_event(Notice(line))
        if table is not None:
            write_table_of_all(tables, plate.names_of, Path(table))

    yield from then_tables(outcomes, write)


def _prepare_tables(
    plate: Plate,
    model: Model,
    options: SegmentOptions,
    table: str | Path | None,
    existing: Existing,
) -> None:
    """Refuse tables that cannot be written; remove that of the plate if its rows will go."""
    if table is not None:
        check_table(Path(table), model.description, options)
    with_tables = writes_tables(model.description, options)
    if not plate.well and with_tables:
        check_plate_table(plate)
    if existing == "overwrite" and withdraw_plate_table(plate) and not with_tables:
        logger.warning(
            "the table of %s is removed, because fields in it are overwritten; a run with "
            "instances writes it again",
            shown_url(plate.url),
        )


def _left_out(plate: Plate, fields: Sequence[str]) -> str:
    return (
        f"Warning: the table of {shown_url(plate.url)} has no rows of "
        f"{some_of(fields, len(fields))}: these were made with another model or other options; "
        "segment them anew with --overwrite"
    )


def local_plate(source: str | Path | Plate) -> Plate:
    """Open a plate that labels can be written into.

    Raises
    ------
    OptionError, ImageError
        If it is not on a local disk, is no plate, or stores no field.
    """
    url = source.url if isinstance(source, Plate) else normal_url(source)
    if "://" in url:
        raise OptionError(f"{url}: labels are written into local plates only; give one field")
    plate = source if isinstance(source, Plate) else open_plate(url)
    if not plate.fields:
        lacks = [note.replace(url, "it", 1) for note in plate.notes]
        raise ImageError(": ".join((f"{url} has no stored field to segment", *lacks)))
    return plate
