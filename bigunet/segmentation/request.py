"""What a caller of `segment` asks for, checked and opened, before anything is planned."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from bigunet.engine.clusters.client import check_can_start
from bigunet.engine.clusters.spec import ClusterSpec
from bigunet.errors import ImageError, OptionError
from bigunet.io.files.opening import open_image
from bigunet.io.images.multiscale import ImageDescription
from bigunet.io.images.plates import is_plate
from bigunet.model.model import Model
from bigunet.options.choices import Existing
from bigunet.options.option_kinds import check_existing
from bigunet.segmentation.model_choice import chosen_model
from bigunet.segmentation.place import Place, choose_place
from bigunet.segmentation.plan.object_choice import choose_outputs
from bigunet.segmentation.plan.plan import make_plan
from bigunet.segmentation.plan.segment_plan import SegmentPlan
from bigunet.segmentation.plan.worker_choice import (
    WorkerChoice,
    WorkerMemory,
    settled,
    voxels_of,
)
from bigunet.segmentation.run.part import Part
from bigunet.segmentation.run.progress import earlier_choices
from bigunet.segmentation.segment_options import SegmentOptions


@dataclass(frozen=True)
class SegmentRequest:
    """One image to segment: with which model and options, where to, and on which workers.

    Parameters
    ----------
    image : ImageDescription
    model : Model
    options : SegmentOptions
        With the OME-Zarr version of the place.
    place : Place
    workers : Client or ClusterSpec
        The workers, or those to start; never ``auto``.
    memory : WorkerMemory
        Memory that these workers have.
    existing : {"refuse", "resume", "overwrite"}
        What to do with an output that is there; a part always resumes.
    part : Part, optional
    """

    image: ImageDescription
    model: Model
    options: SegmentOptions
    place: Place
    workers: WorkerChoice
    memory: WorkerMemory
    existing: Existing
    part: Part | None

    def completed_options(self) -> SegmentOptions:
        """The options, with what an earlier run at the place chose, if this one resumes it."""
        if self.existing != "resume":
            return self.options
        return self.options.completed(earlier_choices(self.place.folder))

    def make_plan(self) -> SegmentPlan:
        """Plan the run that is asked for; reads metadata only.

        Raises
        ------
        OptionError
            If the options fit neither the image nor the model.
        """
        return make_plan(
            self.image,
            self.model,
            self.completed_options(),
            workers=self.memory.workers,
            memory_bytes=self.memory.limit_bytes,
            machine_bytes=self.memory.machine_bytes,
            gpu_bytes=self.memory.gpu_bytes,
            inside_image=self.place.inside_image,
        )


def resolve_request(
    source: str | Path,
    target: str | Path | None,
    *,
    model: str | Path | Model,
    options: SegmentOptions,
    workers: WorkerChoice,
    existing: Existing,
    part: Part | str | None,
) -> SegmentRequest:
    """Open the image, choose the place, load the model, and choose the workers.

    Parameters are those of `segment`. Nothing is written, and no worker is started.

    Raises
    ------
    BigUNetError
        If they do not fit one another, or the workers cannot be started.
    """
    existing = check_existing(existing)
    part = Part.parse(part) if isinstance(part, str) else part
    image = _open(source, target, options.axes)
    _check_part(part, options, existing)
    place = choose_place(image, target, options)
    options = replace(options, ome_version=place.version)
    loaded = chosen_model(model, options)
    outputs = choose_outputs(loaded.description, options)
    place = place.writing(outputs, table=not options.no_table)
    workers = settled(workers, options.device, voxels_of(image, options))
    if isinstance(workers, ClusterSpec):
        # A refusal comes before the image is read, which may take long.
        check_can_start(workers)
    return SegmentRequest(
        image=image,
        model=loaded,
        options=options,
        place=place,
        workers=workers,
        memory=WorkerMemory.of(workers, options.device),
        existing=existing if part is None else "resume",
        part=part,
    )


def _open(source: str | Path, target: str | Path | None, axes: str) -> ImageDescription:
    """The image; the error for a plate says how to segment all of its fields."""
    try:
        return open_image(source, axes=axes)
    except ImageError as error:
        if not is_plate(source):
            raise
        way = "segment all with segment_fields" if target is None else "give no OUT to segment all"
        raise OptionError(f"{error}; or {way}") from error


def _check_part(part: Part | None, options: SegmentOptions, existing: Existing) -> None:
    """Raise OptionError if a part is asked for what would break the other parts."""
    if part is None:
        return
    if existing == "overwrite":
        raise OptionError(
            "a part cannot overwrite what other parts write: remove the output, then start them"
        )
    if options.tune:
        raise OptionError("parts must have the same tiles, but each would measure its own: no tune")
