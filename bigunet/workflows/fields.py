"""Segment a plate, field by field: owns which fields, and that one's failure stops no other."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from distributed import Client

from bigunet.engine.clusters.guard import leave_if_imported_again
from bigunet.engine.clusters.spec import ClusterSpec
from bigunet.engine.stage import Event
from bigunet.engine.watching.performance import check_report, performance_report
from bigunet.errors import BigUNetError, ImageError, OptionError, StoppedError
from bigunet.io.access import find_node, join_url, normal_url
from bigunet.io.discovery import open_multiscale, plate_fields
from bigunet.model.file import load_model
from bigunet.model.model import Model
from bigunet.workflows.options import SegmentOptions
from bigunet.workflows.place import check_inside_options
from bigunet.workflows.segment import clients_of, segment
from bigunet.workflows.segment_report import SegmentReport
from bigunet.workflows.target import Existing
from bigunet.workflows.workers import settled, voxels_of


def segment_fields(
    source: str | Path,
    *,
    model: str | Path | Model = "nuclei",
    options: SegmentOptions | None = None,
    client: Client | ClusterSpec | None = None,
    existing: Existing = "refuse",
    stop: threading.Event | None = None,
    on_event: Callable[[Event, str], None] | None = None,
    performance_path: str | Path | None = None,
) -> Iterator[tuple[str, SegmentReport | BigUNetError]]:
    """Write labels into every stored field of a plate or well, one after the other.

    Parameters
    ----------
    source : path
        A plate or well.
    model, options, client, existing, stop, on_event, performance_path
        As for `segment`; the workers are started once, and the report is one of all fields.

    Yields
    ------
    tuple of str and (SegmentReport or BigUNetError)
        Path of a field relative to the plate, and what became of it.

    Raises
    ------
    BigUNetError
        If no field could be segmented: there is none, or model or options do not fit any;
        StoppedError, if it was asked to stop before the end.
    """
    leave_if_imported_again()
    check_report(performance_path)
    options = options or SegmentOptions()
    check_inside_options(options)
    url = normal_url(source)
    if "://" in url:
        raise OptionError(f"{url}: labels are written into local plates only; give one field")
    fields = [field for field in plate_fields(url) if find_node(url, field) is not None]
    if not fields:
        raise ImageError(f"{url} has no stored field to segment; see what 'bigunet info' lists")
    loaded = model if isinstance(model, Model) else load_model(model)
    voxels = len(fields) * _voxels(join_url(url, fields[0]), options)
    with (
        clients_of(settled(client, options.device, voxels), on_event, stop) as shared,
        performance_report(shared, performance_path, url),
    ):
        for number, field in enumerate(fields):
            if stop is not None and stop.is_set():
                raise StoppedError(f"stopped as asked: {number} of {len(fields)} fields are done")
            yield (
                field,
                _outcome(
                    join_url(url, field),
                    model=loaded,
                    options=options,
                    client=shared,
                    existing=existing,
                    stop=stop,
                    on_event=on_event,
                ),
            )


def _voxels(field: str, options: SegmentOptions) -> float:
    """Of one field, as others are likely to have; infinite where it cannot be read."""
    try:
        return voxels_of(open_multiscale(field), options)
    except BigUNetError:
        return math.inf


def _outcome(
    field: str,
    *,
    model: Model,
    options: SegmentOptions,
    client: Client,
    existing: Existing,
    stop: threading.Event | None,
    on_event: Callable[[Event, str], None] | None,
) -> SegmentReport | BigUNetError:
    try:
        return segment(
            field,
            model=model,
            options=options,
            client=client,
            existing=existing,
            stop=stop,
            on_event=on_event,
        )
    except StoppedError as error:
        raise StoppedError(f"field {field}: {error}") from error
    except BigUNetError as error:
        return error
