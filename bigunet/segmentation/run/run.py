"""Run what was planned: its stages, all or a part, and what makes the output an image."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

from distributed import Client

from bigunet.choices import Output
from bigunet.engine.clusters.client import workers_per_cores
from bigunet.engine.dashboard.watch import Watch
from bigunet.engine.ledger import Ledger
from bigunet.engine.runner import Runner
from bigunet.engine.stage import BlockDone, Event, Notice, Stage
from bigunet.errors import BusyError, OutputError
from bigunet.io.output.arrays import create_arrays, create_record_node
from bigunet.io.output.output_image import OutputImage
from bigunet.io.output.publish import write_discovery_metadata
from bigunet.io.output.upkeep import is_whole, remove_damaged_metadata
from bigunet.io.output.writing import sweep_partial_files
from bigunet.segmentation.place import Place
from bigunet.segmentation.plan.content import CONTENT, check_contents, contents_of
from bigunet.segmentation.plan.normalisation import FixedNormalisation
from bigunet.segmentation.plan.plan import SegmentPlan
from bigunet.segmentation.run.part import Part
from bigunet.segmentation.run.record import has_begun, open_ledger, open_part
from bigunet.segmentation.run.stages import SEGMENT, build_stages, describe_outputs, stage_name
from bigunet.segmentation.run.wholeness import lost_blocks, shown
from bigunet.segmentation.segment_report import totals_of
from bigunet.urls import shown_url

# How often files may be lost while they are written before a run gives up.
_ATTEMPTS = 2


@dataclass(frozen=True)
class Job:
    """What is written, from what, where to, and by whom."""

    plan: SegmentPlan
    normalisation: FixedNormalisation
    place: Place
    client: Client
    patient: bool
    stop: threading.Event | None
    watch: Watch
    tell: Callable[[Event, str], None] | None


def run_all(job: Job, ledger: Ledger) -> int:
    """Write all blocks that are not there, then what makes the output an image.

    Returns
    -------
    int
        Blocks that were segmented.

    Raises
    ------
    OutputError
        If files of finished blocks are lost again and again, or the output is moved away.
    ResumeError
        If the image changed meanwhile: nothing is published.
    """
    num_done = 0
    for attempt in range(_ATTEMPTS + 1):
        sweep_partial_files(job.place.folder)
        remove_damaged_metadata(job.place.folder)
        outputs = _create_outputs(job)
        lost = lost_blocks(list(outputs.values()), ledger)
        if not lost and attempt:
            break
        if lost and attempt == _ATTEMPTS:
            raise OutputError(
                f"{job.place.folder} loses files while it is written ({shown(lost)}): see who "
                "removes them, then run with --resume"
            )
        if lost:
            _tell(job, f"files are missing, so these are computed again: {shown(lost)}")
            ledger.forget(lost)
        num_done += _run_stages(job, _stages(job, outputs), ledger)
    check_contents(job.place.folder, ledger.fingerprint.get(CONTENT), contents_of(job.plan))
    write_discovery_metadata(
        list(outputs.values()),
        provenance=_provenance(job.plan, job.normalisation),
        inside_image=job.place.inside_image,
    )
    return num_done


def run_part(job: Job, part: Part, held: contextlib.ExitStack) -> tuple[int, dict[str, Any], bool]:
    """Write the blocks of a part, and finish the output if it was the last to end.

    Blocks that were written here, totals of all that is known, and whether all is finished.
    """
    plan = job.plan
    # Given back here where all went well, else once workers started here are gone.
    locks = held.enter_context(contextlib.ExitStack())
    ledger = locks.enter_context(open_part(job.place, plan, job.normalisation, part))
    first, *_ = _stages(job, _create_outputs(job))
    own = [plan.grid.number(index) for index in part.traversal(plan.grid)]
    blocks_done = len(set(own) - ledger.done(SEGMENT))
    stage = replace(first, num_blocks=len(own), traversal=lambda: part.traversal(plan.grid))
    _run_stages(job, (stage,), ledger)
    totals = totals_of(plan, ledger)
    locks.close()
    try:
        whole = held.enter_context(
            open_ledger(job.place, plan, job.normalisation, existing="resume")
        )
    except BusyError:
        # Others still run, and the last of them finishes; or one does so now.
        return blocks_done, totals, False
    if len(whole.done(SEGMENT)) < plan.grid.num_blocks:
        whole.close()
        return blocks_done, totals, False
    blocks_done += run_all(job, whole)
    return blocks_done, totals_of(plan, whole), True


def find_finished(
    place: Place, plan: SegmentPlan, normalisation: FixedNormalisation
) -> dict[str, Any] | None:
    """Totals of a run of this plan that is finished, with all its files there; None otherwise.

    It needs no workers and changes nothing.

    Raises
    ------
    ResumeError
        If another run is there, or the image changed since.
    """
    if not has_begun(place):
        return None
    # Another run, or another image, is refused here, before there are workers.
    with open_ledger(place, plan, normalisation, existing="resume") as ledger:
        outputs, layout = list(describe_outputs(plan, place).values()), plan.layout
        if not is_whole(outputs, record=place.record, inside_image=place.inside_image):
            return None
        undone = any(
            len(ledger.done(stage_name(group))) < math.prod(layout.grid_shape(group))
            for group in range(len(layout.groups))
        )
        return None if undone or lost_blocks(outputs, ledger) else totals_of(plan, ledger)


def _create_outputs(job: Job) -> dict[Output, OutputImage]:
    outputs = describe_outputs(job.plan, job.place)
    for output in outputs.values():
        create_arrays(output)
    create_record_node(job.place.store, job.place.record, version=job.place.version)
    return outputs


def _stages(job: Job, outputs: Mapping[Output, OutputImage]) -> tuple[Stage, ...]:
    return build_stages(
        job.plan, outputs, job.normalisation, workers_per_host=workers_per_cores(job.client)
    )


def _tell(job: Job, text: str) -> None:
    if job.tell is not None:
        job.tell(Notice(text), job.client.dashboard_link or "")


def _run_stages(job: Job, stages: tuple[Stage, ...], ledger: Ledger) -> int:
    """Run what is left of the stages; how many blocks were segmented.

    They end early where files are lost between two of them: the next one would miss what is gone.
    """
    num_done = 0
    with Runner(
        job.client, stages, output=str(job.place.folder), patient=job.patient, stop=job.stop
    ) as runner:
        for stage in stages:
            if stage is not stages[0] and lost_blocks(list(_create_outputs(job).values()), ledger):
                break
            for event in runner.run(stage, ledger):
                num_done += isinstance(event, BlockDone) and event.stage == SEGMENT
                seen = job.watch.see(event, stage, ledger.done(stage.name))
                if job.tell is not None:
                    job.tell(seen, job.client.dashboard_link or "")
            ledger.check_place()
    return num_done


def _provenance(plan: SegmentPlan, normalisation: FixedNormalisation) -> dict[str, Any]:
    """How the output came to be, for its metadata: all that `verify` needs, and no times."""
    return {
        "version": version("bigunet"),
        "image": shown_url(plan.image.url),
        "model": {
            "name": plan.model.description.name,
            "sha256": plan.model.digest,
            "path": plan.model.path,
            "scores": plan.model.scores,
        },
        "normalisation": normalisation.to_dict(),
        "options": plan.options.to_dict(),
        "channels": list(plan.channels),
        "precision": plan.precision,
        "turns": plan.turns,
    }
