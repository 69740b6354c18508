"""Segment an image into an OME-Zarr: plan, run the stages, publish. The project's main job."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from distributed import Client

from bigunet.engine.clusters.batch import job_memory_bytes
from bigunet.engine.clusters.client import (
    check_client,
    open_client,
    workers_per_cores,
    workers_per_host,
)
from bigunet.engine.clusters.spec import ClusterSpec
from bigunet.engine.ledger import Ledger
from bigunet.engine.memory import MemoryWatch
from bigunet.engine.runner import Runner
from bigunet.engine.stage import Event, Notice, Stage
from bigunet.engine.watching.performance import check_report, performance_report
from bigunet.engine.watching.watch import Watch
from bigunet.errors import BusyError, ImageError, OptionError
from bigunet.io.discovery import is_plate, open_multiscale
from bigunet.io.metadata import OutputImage
from bigunet.io.multiscale import Multiscale
from bigunet.io.output import (
    create_arrays,
    create_record_node,
    sweep_partial_files,
    write_discovery_metadata,
)
from bigunet.model.file import load_model
from bigunet.model.model import Model
from bigunet.workflows.normalisation import FixedNormalisation, fix_normalisation
from bigunet.workflows.options import Output, SegmentOptions
from bigunet.workflows.part import Part
from bigunet.workflows.place import Place, choose_place
from bigunet.workflows.plan import SegmentPlan, make_plan
from bigunet.workflows.stages import SEGMENT, build_stages, describe_outputs
from bigunet.workflows.target import (
    Existing,
    check_target,
    chosen_before,
    found_run,
    open_ledger,
    open_part,
    write_report,
)
from bigunet.workflows.tuning import tuned
from bigunet.workflows.workers import gpu_bytes, settled


@dataclass(frozen=True)
class SegmentReport:
    """What a run did.

    Parameters
    ----------
    plan : SegmentPlan
    output : str
        Path of the output.
    normalisation : FixedNormalisation
    seconds : float
        From the first block to the last byte, without the start of the workers.
    blocks_done : int
        Blocks that this run segmented itself; the others it found done.
    finished : bool
        Whether the output is whole; False where other parts are still to end.
    class_shares : mapping of str to float
        Share of the voxels of each class, 0 to 1.
    bytes_read : int
        Of pixels, uncompressed, halos included.
    tiles_computed : int
        Tiles that went through the network; one of the same voxels as an earlier one is not
        computed again.
    compute_seconds : float
        In which a device computed, all workers together.
    device, backend : str
        Where the network ran, and what computed it; empty if no block needed it.
    smaller_tile : tuple of int
        What a forward pass kept, where memory ended with the tiles that were planned; else empty.
    peak_memory_bytes : int
        Of this process and its children.
    dashboard : str
        Address of Dask's dashboard while it ran; empty if there was none.
    """

    plan: SegmentPlan
    output: str
    normalisation: FixedNormalisation
    seconds: float
    blocks_done: int
    finished: bool
    class_shares: Mapping[str, float]
    bytes_read: int
    tiles_computed: int
    compute_seconds: float
    device: str
    backend: str
    smaller_tile: tuple[int, ...]
    peak_memory_bytes: int
    dashboard: str

    def to_dict(self) -> dict[str, Any]:
        """The JSON that `bigunet segment --json` prints."""
        grid = self.plan.grid
        voxels = self.plan.region.size * self.blocks_done / max(grid.num_blocks, 1)
        return {
            **self.plan.to_dict(),
            "output": self.output,
            "normalisation": self.normalisation.to_dict(),
            "seconds": round(self.seconds, 3),
            "megapixels_per_second": round(voxels / 1e6 / max(self.seconds, 1e-9), 3),
            "blocks_done": self.blocks_done,
            "finished": self.finished,
            "class_shares": {name: round(share, 6) for name, share in self.class_shares.items()},
            "bytes_read": self.bytes_read,
            "bytes_read_per_image_byte": round(self.plan.read_ratio(self.bytes_read), 4),
            "tiles_computed": self.tiles_computed,
            "compute_seconds": round(self.compute_seconds, 3),
            "peak_memory_bytes": self.peak_memory_bytes,
            "device": self.device,
            "backend": self.backend,
            "smaller_tile": list(self.smaller_tile),
            "dashboard": self.dashboard,
        }


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
        Workers that are there, or those to start; by default one process on this machine.
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
    check_report(performance_path)
    image, options = _open(source, target), options or SegmentOptions()
    _check_part(part, options, existing)
    place = choose_place(image, target, options)
    options = replace(options, ome_version=place.version)
    loaded = model if isinstance(model, Model) else load_model(model)
    client = settled(client, options.device)
    workers_here, gpus = _workers_per_machine(client), gpu_bytes(client, options.device)
    memory_here = job_memory_bytes(client) if isinstance(client, ClusterSpec) else 0

    def fitted() -> SegmentOptions:
        goes_on = existing == "resume" or part is not None
        return options.completed(chosen_before(place.folder)) if goes_on else options

    def planned() -> SegmentPlan:
        return make_plan(
            image, loaded, fitted(), workers=workers_here, memory_bytes=memory_here,
            gpu_bytes=gpus, inside_image=place.inside_image,
        )  # fmt: skip

    plan, tune = planned(), options.tune and not fitted().tile_shape
    check_target(place, plan.image.url, existing="resume" if part is not None else existing)
    normalisation = fix_normalisation(plan)
    if part is not None and not found_run(place, plan, normalisation):
        # Another part began it meanwhile, and what that one chose holds for all.
        plan = planned()
    with contextlib.ExitStack() as held:
        # The ledger, entered last and left last: locked until workers started here are gone.
        with (
            MemoryWatch() as memory,
            clients_of(client, on_event) as workers,
            contextlib.ExitStack() as watched,
        ):
            check_client(workers)
            watched.enter_context(
                performance_report(workers, performance_path, f"{image.url} to {place.folder}")
            )
            if tune:
                plan = tuned(plan, workers, workers_per_host=workers_per_cores(workers))
            watch = watched.enter_context(Watch(workers, str(place.folder)))
            job = _Job(plan, normalisation, place, workers, _outlive(client), stop, watch, on_event)
            dashboard = workers.dashboard_link or ""
            begun = time.perf_counter()
            if part is None:
                ledger = held.enter_context(
                    open_ledger(place, plan, normalisation, existing=existing)
                )
                blocks_done = plan.grid.num_blocks - len(ledger.done(SEGMENT))
                _run(job, ledger)
                totals, finished = _totals(plan, ledger), True
            else:
                blocks_done, totals, finished = _run_part(job, part, held)
            seconds = time.perf_counter() - begun
        report = SegmentReport(
            plan=plan,
            output=str(place.folder),
            normalisation=normalisation,
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


@dataclass(frozen=True)
class _Job:
    """What is written, from what, where to, and by whom."""

    plan: SegmentPlan
    normalisation: FixedNormalisation
    place: Place
    client: Client
    patient: bool
    stop: threading.Event | None
    watch: Watch
    tell: Callable[[Event, str], None] | None


def _run(job: _Job, ledger: Ledger) -> None:
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


def _run_part(
    job: _Job, part: Part, held: contextlib.ExitStack
) -> tuple[int, dict[str, Any], bool]:
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
    totals = _totals(plan, ledger)
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
    _run(job, whole)
    return blocks_done, _totals(plan, whole), True


def _create_outputs(job: _Job) -> dict[Output, OutputImage]:
    outputs = describe_outputs(job.plan, job.place)
    for output in outputs.values():
        create_arrays(output)
    create_record_node(job.place.store, job.place.record, version=job.place.version)
    return outputs


def _stages(job: _Job, outputs: Mapping[Output, OutputImage]) -> tuple[Stage, ...]:
    return build_stages(
        job.plan, outputs, job.normalisation, workers_per_host=workers_per_cores(job.client)
    )


def _run_stages(job: _Job, stages: tuple[Stage, ...], ledger: Ledger) -> None:
    with Runner(
        job.client, stages, output=str(job.place.folder), patient=job.patient, stop=job.stop
    ) as runner:
        for stage in stages:
            for event in runner.run(stage, ledger):
                seen = job.watch.see(event, stage, ledger.done(stage.name))
                if job.tell is not None:
                    job.tell(seen, job.client.dashboard_link or "")


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


def _outlive(client: Client | ClusterSpec | None) -> bool:
    """Whether the workers go on after the run."""
    return isinstance(client, Client) or (client is not None and client.scheduler is not None)


def _open(source: str | Path, target: str | Path | None) -> Multiscale:
    try:
        return open_multiscale(source)
    except ImageError as error:
        if not is_plate(source):
            raise
        way = "segment all with segment_fields" if target is None else "give no OUT to segment all"
        raise OptionError(f"{error}; or {way}") from error


def clients_of(
    client: Client | ClusterSpec | None,
    on_event: Callable[[Event, str], None] | None = None,
) -> contextlib.AbstractContextManager[Client]:
    """The client that is there, which stays open, or one to be started and closed."""
    if isinstance(client, Client):
        return contextlib.nullcontext(client)
    if client is not None and not isinstance(client, ClusterSpec):
        raise OptionError(f"client is {client!r}: give a distributed.Client or a ClusterSpec")
    tell = None if on_event is None else lambda line: on_event(Notice(line), "")
    return open_client(client or ClusterSpec(), tell)


def _totals(plan: SegmentPlan, ledger: Ledger) -> dict[str, Any]:
    """Sums over all blocks, those of earlier runs included."""
    names = [c.name for c in plan.model.description.classes]
    counts = [0] * len(names)
    bytes_read, tiles_computed, compute_seconds, device, backend = 0, 0, 0.0, "", ""
    smaller_tile: list[int] = []
    for result in ledger.results(SEGMENT):
        counts = [a + b for a, b in zip(counts, result["counts"])]
        bytes_read += result["bytes_read"]
        tiles_computed += result["tiles_computed"]
        compute_seconds += result["compute_seconds"]
        device = result["device"] or device
        backend = result["backend"] or backend
        smaller_tile = result.get("smaller_tile", smaller_tile)
    total = max(sum(counts), 1)
    return {
        "class_shares": {name: count / total for name, count in zip(names, counts)},
        "bytes_read": bytes_read,
        "tiles_computed": tiles_computed,
        "compute_seconds": compute_seconds,
        "device": device,
        "backend": backend,
        "smaller_tile": tuple(smaller_tile),
    }


def _provenance(plan: SegmentPlan, normalisation: FixedNormalisation) -> dict[str, Any]:
    """How the output came to be, for its metadata: all that `verify` needs, and no times."""
    return {
        "version": version("bigunet"),
        "image": plan.image.url,
        "model": {
            "name": plan.model.description.name,
            "sha256": plan.model.digest,
            "path": plan.model.path,
        },
        "normalisation": normalisation.to_dict(),
        "options": plan.options.to_dict(),
        "channels": list(plan.channels),
        "precision": plan.precision,
        "turns": plan.turns,
    }
