"""Segments images one after the other on the same workers. After a failure it goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from distributed import Client

from bigunet.engine.clusters.spec import ClusterSpec
from bigunet.engine.dashboard.performance import performance_report
from bigunet.engine.stage import Event
from bigunet.errors import BigUNetError, BusyError, OutputError, StoppedError
from bigunet.io.images.discovery import open_multiscale
from bigunet.machine.processes import leave_if_imported_again
from bigunet.model.files.model_file import load_model
from bigunet.model.model import Model
from bigunet.options.choices import Existing
from bigunet.segmentation.place import choose_place
from bigunet.segmentation.plan.plan import make_plan
from bigunet.segmentation.plan.worker_choice import job_limit_bytes, settled, voxels_of
from bigunet.segmentation.run.clearing import begin_anew
from bigunet.segmentation.segment import segment
from bigunet.segmentation.segment_options import SegmentOptions
from bigunet.segmentation.segment_report import SegmentReport
from bigunet.segmentation.workers import open_workers

# Members that are opened to estimate the size of all.
_MOST_LOOKED_AT = 16


@dataclass(frozen=True, slots=True)
class Member:
    """One image of a series.

    Parameters
    ----------
    name : str
        Name of the member in the results.
    source : str
        Path or URL of the image.
    target : str or None
        Path of its output; None for labels inside the image.
    """

    name: str
    source: str
    target: str | None


def segment_series(
    members: Sequence[Member],
    *,
    kind: str,
    about: str,
    model: str | Path | Model,
    options: SegmentOptions,
    client: Client | ClusterSpec | None,
    existing: Existing,
    stop: threading.Event | None,
    on_event: Callable[[Event, str], None] | None,
    performance_path: str | Path | None,
) -> Iterator[tuple[str, SegmentReport | BigUNetError]]:
    """Segment each member; the model is loaded once, and the workers are started once.

    Parameters
    ----------
    members : sequence of Member
    kind : str
        Word for a member in messages: ``"field"`` or ``"image"``.
    about : str
        Title of the performance report.
    model, options, client, existing, stop, on_event, performance_path
        As for `segment`.

    Yields
    ------
    tuple of str and (SegmentReport or BigUNetError)
        Name of a member, and its report or its error.

    Raises
    ------
    BigUNetError
        If there are no workers or no model; StoppedError, if ``stop`` was set before the end.
    """
    leave_if_imported_again()
    for address in options.read_besides:
        # An image that all members need is opened before workers start.
        open_multiscale(address, usual_axes=True)
    options = replace(options, memory_limit=options.memory_limit or job_limit_bytes(client))
    loaded = model if isinstance(model, Model) else load_model(model)
    voxels = sum(_voxels(member, options) for member in members[:_MOST_LOOKED_AT])
    voxels *= max(1, len(members) / _MOST_LOOKED_AT)
    with (
        open_workers(settled(client, options.device, voxels), on_event, stop) as shared,
        performance_report(shared, performance_path, about),
    ):
        emptied = _emptied(members, loaded, options) if existing == "overwrite" else set()
        for number, member in enumerate(members):
            if stop is not None and stop.is_set():
                raise StoppedError(f"stopped as asked: {number} of {len(members)} {kind}s are done")
            yield (
                member.name,
                _outcome(
                    member,
                    kind=kind,
                    model=loaded,
                    options=options,
                    client=shared,
                    existing="resume" if member in emptied else existing,
                    stop=stop,
                    on_event=on_event,
                ),
            )


def _voxels(member: Member, options: SegmentOptions) -> float:
    """Voxels of one image; 0 if it cannot be read. Its own turn reports that error."""
    try:
        return voxels_of(open_multiscale(member.source, axes=options.axes), options)
    except BigUNetError:
        return 0


def _outcome(member: Member, *, kind: str, **arguments: Any) -> SegmentReport | BigUNetError:
    try:
        return segment(member.source, member.target, **arguments)
    except StoppedError as error:
        raise StoppedError(f"{kind} {member.source}: {error}") from error
    except BigUNetError as error:
        return error
    except OSError as error:
        # The disk or the permissions of the other members may be all right.
        return OutputError(f"{kind} {member.source}: {error}")


def _emptied(members: Sequence[Member], model: Model, options: SegmentOptions) -> set[Member]:
    """Remove all earlier outputs before the first block; the members with an empty place now.

    Then a stopped series can go on with ``resume``: no output of an earlier run is left that looks
    like one of this series. If options or model do not fit an image, its output stays.
    """
    emptied = set()
    for member in members:
        try:
            image = open_multiscale(member.source, axes=options.axes)
            place = choose_place(image, member.target, options)
            make_plan(image, model, options, inside_image=place.inside_image)
            begin_anew(place, image.url, read=options.read_besides)
        except BusyError:
            raise
        except BigUNetError:
            # The turn of this member reports the same error.
            continue
        emptied.add(member)
    return emptied
