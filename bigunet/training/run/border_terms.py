"""Border terms of whole images, computed once and kept: the weight map out of core."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from torch import distributed

from bigunet.errors import OutputError
from bigunet.geometry import Box
from bigunet.io.output.scratch import ScratchArray
from bigunet.io.sources.source import Source, open_source
from bigunet.io.stores.access import reading
from bigunet.training.data.patches import read_border_term
from bigunet.training.data.samples import Sample
from bigunet.training.data.training_set import TrainingSet
from bigunet.training.loop import Machine
from bigunet.training.recipe import Recipe
from bigunet.training.run.description import TrainJob
from bigunet.training.run.work_stages import Counted, OnStage, say_nothing
from bigunet.urls import shown_url

_CHUNK_VOXELS = {2: 1024, 3: 96}


def keep_border_terms(
    training_set: TrainingSet,
    job: TrainJob,
    machine: Machine,
    *,
    on_stage: OnStage = say_nothing,
) -> list[Source]:
    """Border terms of all training samples, from the job's folder or computed into it.

    Labels on disk that were corrected are seen to have changed by the sizes and times of all
    their files, not by their voxels. Labels at a URL are not, since stores do not all tell an
    ETag; nor are further files that a TIFF names: remove the folder then. Terms of former states of
    the labels stay; remove the folder when no run uses it.

    Parameters
    ----------
    training_set : TrainingSet
    job : TrainJob
        Its ``weight_cache`` is made where it is missing; one zarr array per sample.
    machine : Machine
        The first process computes, the others wait.
    on_stage : callable
        Told of the share that is done.

    Raises
    ------
    OutputError
        If the folder cannot be written, or holds something else under the name of an array.
    ImageError
        If labels cannot be read.
    """
    folder, recipe = Path(job.weight_cache), job.recipe
    about = [_about(sample, job, training_set.ndim) for sample in training_set.samples]
    paths = [_path(folder, one) for one in about]
    if machine.rank == 0:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot make {folder}: {error.strerror}") from error
        whole = sum(math.prod(sample.labels.shape) for sample in training_set.samples)
        counted = Counted("weight maps", whole, on_stage)
        for sample, path, one in zip(training_set.samples, paths, about):
            _keep(sample, path, one, recipe, training_set.ndim, counted)
    if machine.processes > 1:
        on_gpu = machine.device.type == "cuda"
        distributed.barrier(device_ids=[machine.device.index] if on_gpu else None)
    return [open_source(path) for path in paths]


def _keep(
    sample: Sample,
    path: Path,
    about: dict[str, object],
    recipe: Recipe,
    ndim: int,
    counted: Counted,
) -> None:
    shape = sample.labels.shape
    chunks = (1,) * (len(shape) - ndim) + (_CHUNK_VOXELS[ndim],) * ndim
    array = ScratchArray(path, sample.labels.axes, shape, chunks, about)

    def values() -> Iterator[tuple[Box, np.ndarray]]:
        for box in array.boxes():
            yield box, read_border_term(sample, box, recipe, ndim=ndim)
            counted.some(box.size)

    array.write(values())


def _about(sample: Sample, job: TrainJob, ndim: int) -> dict[str, object]:
    """All that the terms depend on."""
    url = str(sample.labels.url)
    return {
        "labels": shown_url(url),
        "files": _digest_of_files(url),
        "shape": list(sample.labels.shape),
        "spacing": list(sample.spacing),
        "ndim": ndim,
        "level": job.options.level,
        "connected": job.options.connected,
        "ignore": list(job.options.ignore),
        "w0": job.recipe.border_weight,
        "sigma": job.recipe.border_sigma,
    }


def _path(folder: Path, about: dict[str, object]) -> Path:
    told = json.dumps(about, sort_keys=True)
    name = Path(str(about["labels"])).stem
    return folder / f"{name}-{hashlib.sha256(told.encode()).hexdigest()[:16]}.zarr"


def _digest_of_files(url: str) -> str:
    """Digest of names, sizes and times of change of a file or all files of a folder.

    It costs a look at each file, but reads none: 1e5 files took half a second on a local disk.
    Of a URL it is empty.
    """
    place = url.removeprefix("file://")
    if "://" in place:
        return ""
    with reading(place):
        found = sorted(_files(place)) if os.path.isdir(place) else [_told(os.stat(place))]
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()


def _files(folder: str, inside: str = "") -> Iterator[tuple[str, int, int]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            name = f"{inside}{entry.name}"
            if entry.is_dir():
                yield from _files(entry.path, f"{name}/")
            elif entry.is_file():  # a link that leads nowhere is none
                yield name, *_told(entry.stat())


def _told(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_size, stat.st_mtime_ns
