"""A ready Slurm script for a segmentation: reads metadata, runs a few tiles, starts no job."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import torch

from bigunet.choices import Existing
from bigunet.engine.clusters.job_memory import memory_limit_of
from bigunet.errors import OptionError
from bigunet.io.images.discovery import open_multiscale
from bigunet.io.images.plates import is_plate
from bigunet.io.stores.access import normal_url
from bigunet.jobs.duration import clock
from bigunet.jobs.pace import Pace
from bigunet.jobs.request import JobRequest
from bigunet.jobs.script import Commands, JobText, array_script, dask_script
from bigunet.jobs.segment_words import segment_words
from bigunet.jobs.size import JobSize, cpus_of, size_jobs
from bigunet.machine.cores import cores
from bigunet.model.files.model_file import bundled_models, find_model, load_model
from bigunet.segmentation.forecast import forecast
from bigunet.segmentation.place import RUN_FOLDER, Place, choose_place
from bigunet.segmentation.plan.memory_share import sufficient_limit
from bigunet.segmentation.plan.plan import make_plan
from bigunet.segmentation.plan.segment_plan import SegmentPlan
from bigunet.segmentation.plan.shapes import pass_memory
from bigunet.segmentation.run.target import check_target
from bigunet.segmentation.segment_options import SegmentOptions
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
        Whether a few tiles may be run here to foretell the time.

    Raises
    ------
    BigUNetError
        If the run would fail for what can be told before it begins, or too little is known.
    """
    _check(request, options, existing)
    _check_no_secret(source, options.mask, options.grey_range_of)
    plan, place = _planned(source, target, model, options, request, existing)
    # What is planned there is what was planned here, whatever memory the node has.
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
        # Else a node whose driver fails would compute on its cores, for ever.
        options = replace(options, device="cuda")
    where = None if target is None else normal_url(os.path.expanduser(target))
    words = segment_words(normal_url(source), where, _model_word(model), options)
    ledgers = str(place.folder.absolute() / RUN_FOLDER)
    text = JobText(_title(plan, where), words, _notes(plan, request, size, pace), ledgers)
    commands = _commands(request.prefix)
    if request.way == "dask":
        return dask_script(request, size, text, commands, resume=existing == "resume")
    if request.processes > 1:
        kind = ["--cluster=cuda"] if request.gpus else []
        text = replace(text, words=[*words, *kind, f"--workers={request.processes}"])
    return array_script(request, size, text, commands)


def _check_no_secret(*urls: str) -> None:
    """Raise OptionError for an address that a script, which anybody may read, must not hold."""
    for url in urls:
        if shown_url(url) != url:
            raise OptionError(
                f"the script would hold the password or token of {shown_url(url)}: give jobs "
                "access in another way, such as AWS_* variables or a local copy"
            )


def _check(request: JobRequest, options: SegmentOptions, existing: Existing) -> None:
    """Raise OptionError for what does not go together."""
    if existing == "overwrite":
        # Queued again, a job could not tell what it has overwritten from what it has not.
        raise OptionError(
            "a job that may be queued again cannot overwrite: remove the output first, and print "
            "the script without --overwrite"
        )
    if request.way == "array" and options.tune:
        raise OptionError(
            "jobs of an array must have the same tiles, but each would measure its own: no "
            "--tune, or --way dask"
        )
    if request.gpus and options.device == "cpu":
        raise OptionError("--device cpu needs no --gpus: give one of them")
    if not request.gpus and options.device == "cuda":
        raise OptionError("--device cuda needs a GPU: say with --gpus N how many a node gives")


def _planned(
    source: str,
    target: str | None,
    model: str,
    options: SegmentOptions,
    request: JobRequest,
    existing: Existing,
) -> tuple[SegmentPlan, Place]:
    """The plan of the run, and where it writes; raises what the run would."""
    if is_plate(source):
        raise OptionError(
            f"{source} is a plate, whose fields run one after the other: print a script for each "
            "of its fields"
        )
    image = open_multiscale(source, axes=options.axes)
    place = choose_place(image, target, options)
    array = request.way == "array"
    check_target(place, image.url, existing="resume" if array else existing)
    if not options.memory_limit and request.memory_bytes:
        options = replace(options, memory_limit=memory_limit_of(request.memory_bytes))
    # Precision and tiles are those of the device that jobs have.
    device = options.device if request.gpus else "cpu"
    plan = make_plan(
        image,
        load_model(model),
        replace(options, ome_version=place.version, device=device),
        workers=request.processes,
        inside_image=place.inside_image,
    )
    return plan, place


def _limit_bytes(plan: SegmentPlan, request: JobRequest) -> int:
    """As asked for, or what suffices for the plan, in whole megabytes."""
    if plan.options.memory_limit:
        return plan.options.memory_limit // _MB * _MB or plan.options.memory_limit
    first = plan.grid.box((0,) * plan.region.ndim)
    tile = next(plan.tiling.tiles(first)).input.shape[-plan.network_axes :]
    limit = sufficient_limit(
        plan.share,
        plan.uncut_block_bytes(),
        pass_memory(plan.model, plan.precision)(tile),
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
            why = "no GPU is here to measure on" if request.gpus else "nothing is measured"
            raise OptionError(
                f"{why}: say with --hours H what the whole image takes on one job, or give --jobs "
                "and --walltime"
            )
        return None
    return Pace.foretold(forecast(plan), request, cpus=cpus, cores=here)


def _model_word(model: str) -> str:
    return model if model in bundled_models() else str(find_model(model).absolute())


def _commands(prefix: str) -> Commands:
    """The programs of this environment, or those of the container that ``prefix`` names."""
    if prefix:
        return Commands(f"{prefix} bigunet", f"{prefix} dask", f"{prefix} python")
    folder = Path(sys.executable).parent
    found = {
        name: shlex.quote(str(folder / name))
        if (folder / name).is_file()
        else f"{shlex.quote(sys.executable)} -m {module}"
        for name, module in (("bigunet", "bigunet_cli.main"), ("dask", "dask"))
    }
    return Commands(**found, python=shlex.quote(sys.executable))


def _title(plan: SegmentPlan, target: str | None) -> str:
    into = "its own labels" if target is None else repr(target)
    made_by = f"made by 'bigunet jobs slurm' of bigunet {version('bigunet')}"
    return f"Segments {plan.image.url!r} into {into}; {made_by}."


def _notes(plan: SegmentPlan, request: JobRequest, size: JobSize, pace: Pace | None) -> list[str]:
    """Where the numbers of a script come from, for whoever reads or changes them."""
    each = "job" if request.way == "array" else "node"
    jobs = f"{size.jobs} {each}s" if size.jobs > 1 else f"1 {each}"
    notes = [f"{plan.grid.num_blocks} blocks of {plan.grid.block_shape} voxels for {jobs}."]
    if pace is not None and size.part_seconds is not None:
        whole = clock(round(pace.start_seconds + pace.work_seconds))
        notes.append(
            f"Time: {whole} on one {each}, {clock(round(size.part_seconds))} with {jobs}; "
            f"{pace.told}."
        )
    given = (
        "as given" if request.walltime_seconds else "with a margin; a job that needs more goes on"
    )
    notes.append(f"--time: {given}.")
    notes.append(
        "--mem: "
        + ("as given" if request.memory_bytes else "reckoned from blocks and tiles")
        + "; --memory-limit in the command keeps below it: change both."
    )
    notes.append(
        "--signal: seconds before the end, enough to finish the blocks that are at work"
        + ("." if pace is not None else ", it is hoped: nothing was measured.")
    )
    return notes
