"""Run what was planned: its stages, all or a part, and what makes the output an image."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

from distributed import Client

from bigunet.engine.clusters.client import workers_per_cores
from bigunet.engine.ledger import Ledger
from bigunet.engine.runner import Runner
from bigunet.engine.stage import Event, Stage
from bigunet.engine.watching.watch import Watch
from bigunet.errors import BusyError
from bigunet.io.metadata import OutputImage
from bigunet.io.output import (
    create_arrays,
    create_record_node,
    sweep_partial_files,
    write_discovery_metadata,
)
from bigunet.workflows.normalisation import FixedNormalisation
from bigunet.workflows.options import Output
from bigunet.workflows.part import Part
from bigunet.workflows.place import Place
from bigunet.workflows.plan import SegmentPlan
from bigunet.workflows.segment_report import totals_of
from bigunet.workflows.stages import SEGMENT, build_stages, describe_outputs
from bigunet.workflows.target import open_ledger, open_part


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


def run_all(job: Job, ledger: Ledger) -> None:
    """Write all blocks that the ledger does not have, then what makes the output an image."""
    sweep_partial_files(job.place.folder)
    outputs = _create_outputs(job)
    _run_stages(job, _stages(job, outputs), ledger)
    sweep_partial_files(job.place.folder)
    write_discovery_metadata(
        list(outputs.values()),
        provenance=_provenance(job.plan, job.normalisation),
        inside_image=job.place.inside_image,
    )


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
    run_all(job, whole)
    return blocks_done, totals_of(plan, whole), True


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


def _run_stages(job: Job, stages: tuple[Stage, ...], ledger: Ledger) -> None:
    with Runner(
        job.client, stages, output=str(job.place.folder), patient=job.patient, stop=job.stop
    ) as runner:
        for stage in stages:
            for event in runner.run(stage, ledger):
                seen = job.watch.see(event, stage, ledger.done(stage.name))
                if job.tell is not None:
                    job.tell(seen, job.client.dashboard_link or "")


def _provenance(plan: SegmentPlan, normalisation: FixedNormalisation) -> dict[str, Any]:
    """How the output came to be, for its metadata: all that `verify` needs, and no times."""
    return {
        "version": version("bigunet"),
        "image": plan.image.url,
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
