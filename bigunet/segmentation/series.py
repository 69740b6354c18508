"""Segment images one after the other on one set of workers: the failure of one stops no other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from distributed import Client

from bigunet.choices import Existing
from bigunet.engine.clusters.spec import ClusterSpec
from bigunet.engine.dashboard.performance import performance_report
from bigunet.engine.stage import Event
from bigunet.errors import BigUNetError, BusyError, OutputError, StoppedError
from bigunet.io.images.discovery import open_multiscale
from bigunet.machine.processes import leave_if_imported_again
from bigunet.model.files.model_file import load_model
from bigunet.model.model import Model
from bigunet.segmentation.place import choose_place
from bigunet.segmentation.plan.plan import make_plan
from bigunet.segmentation.plan.worker_choice import job_limit_bytes, settled, voxels_of
from bigunet.segmentation.run.clearing import begin_anew
from bigunet.segmentation.segment import segment
from bigunet.segmentation.segment_options import SegmentOptions
from bigunet.segmentation.segment_report import SegmentReport
from bigunet.segmentation.workers import open_workers

# Members that tell how large the others are.
_MOST_LOOKED_AT = 16


@dataclass(frozen=True, slots=True)
class Member:
    """One image of a series.

    Parameters
    ----------
    name : str
        What the results call it.
    source : str
        Path or URL of the image.
    target : str or None
        Where its output goes; None for labels inside the image.
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
        What messages call a member: ``"field"`` or ``"image"``.
    about : str
        What the performance report says was run.
    model, options, client, existing, stop, on_event, performance_path
        As for `segment`.

    Yields
    ------
    tuple of str and (SegmentReport or BigUNetError)
        Name of a member, and its report or why it failed.

    Raises
    ------
    BigUNetError
        If there are no workers or no model; StoppedError, if ``stop`` was set before the end.
    """
    leave_if_imported_again()
    for address in options.read_besides:
        # What all members read is missing for all of them, before workers start.
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
    """Of one image; 0 where it cannot be read, which is said in its turn."""
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
        # A full disk or a lost permission of one member is no fault of the others.
        return OutputError(f"{kind} {member.source}: {error}")


def _emptied(members: Sequence[Member], model: Model, options: SegmentOptions) -> set[Member]:
    """Empty all outputs before the first block, and say which members had theirs emptied.

    Then a series that is stopped can go on with ``resume``: no output of an earlier run is left
    that would pass for one of this run. An output that options or model do not let be written
    stays as it is.
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
            # It fails again, and is told, in its turn.
            continue
        emptied.add(member)
    return emptied
