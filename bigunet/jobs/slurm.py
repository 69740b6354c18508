"""A complete Slurm script for a segmentation; it reads metadata, runs tiles and starts no job."""

from __future__ import annotations

import os
from dataclasses import replace

import torch

from bigunet.engine.clusters.job_memory import memory_limit_of
from bigunet.errors import OptionError
from bigunet.io.files.opening import open_image
from bigunet.io.images.plates import is_plate
from bigunet.jobs.job_request import JobRequest
from bigunet.jobs.notes import script_notes, script_title
from bigunet.jobs.pace import Pace
from bigunet.jobs.programs import find_programs
from bigunet.jobs.script import JobText, script_text
from bigunet.jobs.size import cpus_of, size_jobs
from bigunet.machine.cores import cores
from bigunet.model.files.names import bundled_models, find_model
from bigunet.model.foreign.kinds import foreign_kind
from bigunet.model.foreign.opening import address_of
from bigunet.options.choices import Existing
from bigunet.segmentation.forecast import forecast
from bigunet.segmentation.model_choice import chosen_model
from bigunet.segmentation.place import RUN_FOLDER, Place, choose_place
from bigunet.segmentation.plan.memory_share import sufficient_limit
from bigunet.segmentation.plan.object_choice import choose_outputs
from bigunet.segmentation.plan.plan import make_plan
from bigunet.segmentation.plan.segment_plan import SegmentPlan
from bigunet.segmentation.run.target import check_target
from bigunet.segmentation.segment_options import SegmentOptions
from bigunet.segmentation.segment_words import segment_words
from bigunet.stores.access import normal_url
from bigunet.urls import shown_url

_MB = 10**6


def slurm_script(
    source: str,
    target: str | None,
    *,
    model: str,
    options: SegmentOptions,
    request: JobRequest,
    existing: Existing = "refuse",
    measure: bool = True,
) -> str:
    """The text of a script for sbatch that segments ``source`` into ``target``.

    Parameters
    ----------
    source, target, model, options, existing
        As for `segment`.
    request : JobRequest
    measure : bool
        Whether a few tiles may run on this machine, so that the time can be estimated.

    Raises
    ------
    BigUNetError
        If the run would fail for a reason that is visible before it begins, or too little is
        known.
    """
    _check(request, options, existing)
    _check_no_secret(source, options.mask, options.grey_range_of)
    plan, place = _planned(source, target, model, options, request, existing)
    # With this limit, jobs make the plan that was made here, whatever memory their node has.
    options = replace(options, memory_limit=_limit_bytes(plan, request))
    here = cores()
    cpus = cpus_of(request, here)
    pace = _pace(plan, request, cpus=cpus, here=here, measure=measure)
    size = size_jobs(
        request,
        pace,
        blocks=plan.grid.num_blocks,
        limit_bytes=options.memory_limit,
        cpus=cpus,
    )
    if request.gpus and options.device == "auto":
        # With "auto", a node with a broken driver would compute on its cores for days.
        options = replace(options, device="cuda")
    output = None if target is None else normal_url(os.path.expanduser(target))
    words = segment_words(normal_url(source), output, _model_word(model), options)
    if request.way == "array" and request.processes > 1:
        words += ["--cluster=cuda"] if request.gpus else []
        words.append(f"--workers={request.processes}")
    text = JobText(
        title=script_title(plan, output),
        words=words,
        notes=script_notes(plan, request, size, pace),
        ledgers=str(place.folder.absolute() / RUN_FOLDER),
    )
    programs = find_programs(request.prefix)
    return script_text(request, size, text, programs, resume=existing == "resume")


def _check_no_secret(*urls: str) -> None:
    """Raise OptionError for an address with a password: other people may read the script."""
    for url in urls:
        if shown_url(url) != url:
            raise OptionError(
                f"the script would hold the password or token of {shown_url(url)}: give jobs "
                "access in another way, such as AWS_* variables or a local copy"
            )


def _check(request: JobRequest, options: SegmentOptions, existing: Existing) -> None:
    """Raise OptionError for options that contradict each other or the request."""
    if existing == "overwrite":
        # A job that is queued again could not know which blocks it has overwritten already.
        raise OptionError(
            "a job that may be queued again cannot overwrite: remove the output first, and print "
            "the script without --overwrite"
        )
    if request.way == "array" and options.tune:
        raise OptionError(
            "jobs of an array must have the same tiles, but with --tune each would measure its "
            "own: leave --tune out, or give --way dask"
        )
    if options.device == "mps":
        raise OptionError("--device mps is for Macs: give --device cpu, or --gpus N")
    if request.gpus and options.device == "cpu":
        raise OptionError("--device cpu needs no --gpus: give one of them")
    if not request.gpus and options.device == "cuda":
        raise OptionError("--device cuda needs a GPU: give the GPUs of a node with --gpus N")


def _planned(
    source: str,
    target: str | None,
    model: str,
    options: SegmentOptions,
    request: JobRequest,
    existing: Existing,
) -> tuple[SegmentPlan, Place]:
    """The plan of the run, and the place of its output; raises the errors of the run itself."""
    if is_plate(source):
        raise OptionError(
            f"{source} is a plate, and its fields would run one after the other: print a script "
            "for each of its fields"
        )
    image = open_image(source, axes=options.axes)
    loaded = chosen_model(model, options)
    place = choose_place(image, target, options)
    outputs = choose_outputs(loaded.description, options)
    place = place.writing(outputs, table=not options.no_table)
    array = request.way == "array"
    check_target(place, image.url, existing="resume" if array else existing)
    if not options.memory_limit and request.memory_bytes:
        options = replace(options, memory_limit=memory_limit_of(request.memory_bytes))
    # The device of the jobs decides on precision and tiles.
    device = options.device if request.gpus else "cpu"
    plan = make_plan(
        image,
        loaded,
        replace(options, ome_version=place.version, device=device),
        workers=request.processes,
        inside_image=place.inside_image,
    )
    return plan, place


def _limit_bytes(plan: SegmentPlan, request: JobRequest) -> int:
    """The memory limit that the user gives, or the least that suffices, in whole megabytes."""
    if plan.options.memory_limit:
        return plan.options.memory_limit // _MB * _MB or plan.options.memory_limit
    first = plan.grid.box((0,) * plan.region.ndim)
    tile = next(plan.tiling.tiles(first)).input.shape[-plan.network_axes :]
    limit = sufficient_limit(
        plan.share,
        plan.uncut_block_bytes(),
        plan.pass_bytes(tile),
        workers=request.processes,
    )
    return -(-limit // _MB) * _MB


def _pace(
    plan: SegmentPlan, request: JobRequest, *, cpus: int, here: int, measure: bool
) -> Pace | None:
    if request.run_seconds:
        blocks = plan.region.size / plan.grid.box((0,) * plan.region.ndim).size
        return Pace.given(request.run_seconds, request, blocks=blocks)
    if request.gpus and not torch.cuda.is_available():
        measure = False
    if not measure:
        if not (request.jobs and request.walltime_seconds):
            why = "no GPU is here for a measurement" if request.gpus else "nothing is measured"
            raise OptionError(
                f"{why}: give the time of the whole image on one job with --hours H, or give "
                "--jobs and --walltime"
            )
        return None
    return Pace.estimated(forecast(plan), request, cpus=cpus, cores=here)


def _model_word(model: str) -> str:
    if model in bundled_models():
        return model
    return str(address_of(model) if foreign_kind(model) else find_model(model).absolute())
