"""Segment an image into an OME-Zarr: plan, run the stages, publish. The project's main job."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from distributed import Client

from bigunet.engine.cluster import ClusterSpec, check_client, open_client, workers_per_host
from bigunet.engine.ledger import Ledger
from bigunet.engine.memory import MemoryWatch
from bigunet.engine.runner import Runner
from bigunet.engine.stage import Event
from bigunet.errors import ImageError, OptionError
from bigunet.io.discovery import is_plate, open_multiscale
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
from bigunet.workflows.options import SegmentOptions
from bigunet.workflows.place import Place, choose_place
from bigunet.workflows.plan import SegmentPlan, make_plan
from bigunet.workflows.stages import SEGMENT, build_stages, describe_outputs
from bigunet.workflows.target import (
    Existing,
    check_target,
    chosen_before,
    open_ledger,
    write_report,
)
from bigunet.workflows.tuning import tuned


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
            "class_shares": {name: round(share, 6) for name, share in self.class_shares.items()},
            "bytes_read": self.bytes_read,
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
    on_event: Callable[[Event, str], None] | None = None,
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
        What to do when the target is there.
    on_event : callable, optional
        Told of each stage and each block, with the dashboard's address.

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
    image, options = _open(source, target), options or SegmentOptions()
    place = choose_place(image, target, options)
    options = replace(options, ome_version=place.version)
    if existing == "resume":
        options = options.completed(chosen_before(place.folder))
    plan = make_plan(
        image,
        model if isinstance(model, Model) else load_model(model),
        options,
        workers=_workers_per_machine(client),
        inside_image=place.inside_image,
    )
    check_target(place, plan.image.url, existing=existing)
    normalisation = fix_normalisation(plan)
    with contextlib.ExitStack() as held:
        # The ledger, entered last and left last: locked until workers started here are gone.
        with MemoryWatch() as memory, clients_of(client) as workers:
            check_client(workers)
            if options.tune and not options.tile_shape:
                plan = tuned(plan, workers, workers_per_host=workers_per_host(workers))
            job = _Job(plan, normalisation, place)
            ledger = open_ledger(place, plan, normalisation, existing=existing)
            held.enter_context(ledger)
            done_before = len(ledger.done(SEGMENT))
            dashboard = workers.dashboard_link or ""
            begun = time.perf_counter()
            _run(job, ledger, workers, patient=_outlive(client), tell=on_event)
            seconds = time.perf_counter() - begun
        report = SegmentReport(
            plan=plan,
            output=str(place.folder),
            normalisation=normalisation,
            seconds=seconds,
            blocks_done=plan.grid.num_blocks - done_before,
            peak_memory_bytes=memory.peak_bytes,
            dashboard=dashboard,
            **_totals(plan, ledger),
        )
        write_report(place.folder, report.to_dict())
    return report


@dataclass(frozen=True)
class _Job:
    """What is written, from what, and where to."""

    plan: SegmentPlan
    normalisation: FixedNormalisation
    place: Place


def _run(
    job: _Job,
    ledger: Ledger,
    client: Client,
    *,
    patient: bool,
    tell: Callable[[Event, str], None] | None,
) -> None:
    """Write all blocks that the ledger does not have, then what makes the output an image."""
    outputs = describe_outputs(job.plan, job.place)
    folder = job.place.folder
    sweep_partial_files(folder)
    for output in outputs.values():
        create_arrays(output)
    create_record_node(job.place.store, job.place.record, version=job.place.version)
    stages = build_stages(
        job.plan, outputs, job.normalisation, workers_per_host=workers_per_host(client)
    )
    with Runner(client, stages, output=str(folder), patient=patient) as runner:
        for stage in stages:
            for event in runner.run(stage, ledger):
                if tell is not None:
                    tell(event, client.dashboard_link or "")
    sweep_partial_files(folder)
    write_discovery_metadata(
        list(outputs.values()),
        provenance=_provenance(job.plan, job.normalisation),
        inside_image=job.place.inside_image,
    )


def _workers_per_machine(client: Client | ClusterSpec | None) -> int:
    """How many share a machine's memory; of a cluster that is not connected yet, one."""
    if isinstance(client, Client):
        return workers_per_host(client)
    return (client.workers or 1) if isinstance(client, ClusterSpec) else 1


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
) -> contextlib.AbstractContextManager[Client]:
    """The client that is there, which stays open, or one to be started and closed."""
    if isinstance(client, Client):
        return contextlib.nullcontext(client)
    if client is not None and not isinstance(client, ClusterSpec):
        raise OptionError(f"client is {client!r}: give a distributed.Client or a ClusterSpec")
    return open_client(client or ClusterSpec())


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
