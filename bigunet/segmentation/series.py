"""Segments images side by side on the same workers. After a failure it goes on."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from distributed import Client

from bigunet.engine.clusters.spec import ClusterSpec
from bigunet.engine.dashboard.performance import performance_report
from bigunet.errors import BigUNetError, BusyError, OutputError, StoppedError
from bigunet.event_bar import drawn
from bigunet.events import OnEvent
from bigunet.io.files.opening import open_image
from bigunet.machine.processes import leave_if_imported_again
from bigunet.model.model import Model
from bigunet.options.choices import Existing
from bigunet.segmentation.place import choose_place
from bigunet.segmentation.plan.plan import make_plan
from bigunet.segmentation.plan.worker_choice import WorkerMemory, job_limit_bytes, settled
from bigunet.segmentation.run.clearing import begin_anew
from bigunet.segmentation.segment import segment
from bigunet.segmentation.segment_options import SegmentOptions
from bigunet.segmentation.segment_report import SegmentReport
from bigunet.segmentation.series_events import SeriesEvents
from bigunet.segmentation.series_member import Member, blocks_enough
from bigunet.segmentation.side_by_side import SideBySide
from bigunet.segmentation.workers import open_workers

# Members that are opened to estimate the size of all.
_MOST_LOOKED_AT = 16

Outcome = SegmentReport | BigUNetError


def segment_series(
    members: Sequence[Member],
    *,
    kind: str,
    about: str,
    model: Model,
    options: SegmentOptions,
    client: Client | ClusterSpec | None,
    existing: Existing,
    stop: threading.Event | None,
    on_event: OnEvent | None,
    progress: bool = False,
    performance_path: str | Path | None,
) -> Generator[tuple[str, SegmentReport | BigUNetError], None, None]:
    """Segment the members with one model; the workers are started once.

    As many are at work at a time as keep all workers busy. Results come in the order of the list.

    Parameters
    ----------
    members : sequence of Member
    kind : str
        Word for a member in messages: ``"field"`` or ``"image"``.
    about : str
        Title of the performance report.
    model, options, client, existing, stop, on_event, progress, performance_path
        As for `segment`.

    Yields
    ------
    tuple of str and (SegmentReport or BigUNetError)
        Name of a member, and its report or its error.

    Raises
    ------
    BigUNetError
        If there are no workers; StoppedError, if ``stop`` was set before the end.
    """
    leave_if_imported_again()
    for address in options.read_besides:
        # An image that all members need is opened before workers start.
        open_image(address, usual_axes=True)
    options = replace(options, memory_limit=options.memory_limit or job_limit_bytes(client))
    voxels = sum(member.voxels(options) for member in members[:_MOST_LOOKED_AT])
    voxels *= max(1, len(members) / _MOST_LOOKED_AT)
    with (
        drawn(on_event, progress=progress) as hear,
        open_workers(settled(client, options.device, voxels), hear, stop) as shared,
        performance_report(shared, performance_path, about),
    ):
        emptied = _emptied(members, model, options) if existing == "overwrite" else set()
        events = SeriesEvents(kind, len(members), hear)

        def do(number: int, left: Callable[[int], None]) -> Outcome | StoppedError:
            member = members[number]
            outcome = _outcome(
                member,
                kind=kind,
                model=model,
                options=options,
                client=shared,
                existing="resume" if member in emptied else existing,
                stop=stop,
                on_event=events.of(member.name, left),
            )
            if not isinstance(outcome, StoppedError):
                events.end(member.name)
            return outcome

        memory = WorkerMemory.of(shared, options.device)
        tasks = SideBySide(
            do,
            size_of=lambda number: members[number].size(model, options, memory),
            enough=lambda: blocks_enough(shared),
            stop=stop,
        )
        yield from _in_order(members, tasks, kind)


def _in_order(
    members: Sequence[Member], tasks: SideBySide[Outcome | StoppedError], kind: str
) -> Iterator[tuple[str, Outcome]]:
    """Names and outcomes as listed; StoppedError if the series was stopped before its end."""
    num_done, num_all = 0, f"of {len(members)} {kind}s are done"
    with contextlib.closing(tasks.run(len(members))) as outcomes:
        for member, outcome in zip(members, outcomes):
            if isinstance(outcome, StoppedError):
                others = tasks.finish()
                if not others:
                    raise outcome
                num_done += sum(not isinstance(other, StoppedError) for other in others)
                raise StoppedError(f"stopped as asked: {num_done} {num_all}") from outcome
            num_done += 1
            yield member.name, outcome
    if num_done < len(members):
        raise StoppedError(f"stopped as asked: {num_done} {num_all}")


def _outcome(member: Member, *, kind: str, **arguments: Any) -> Outcome:
    """The report or the error of a member; StoppedError says which member was stopped."""
    try:
        return segment(member.source, member.target, **arguments)
    except StoppedError as error:
        return StoppedError(f"{kind} {member.source}: {error}")
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
            image = open_image(member.source, axes=options.axes)
            place = choose_place(image, member.target, options)
            plan = make_plan(image, model, options, inside_image=place.inside_image)
            place = place.writing(plan.options.outputs, table=plan.writes_table)
            begin_anew(place, image.url, read=options.read_besides)
        except BusyError:
            raise
        except BigUNetError:
            # The turn of this member reports the same error.
            continue
        emptied.add(member)
    return emptied
