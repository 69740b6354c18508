"""Border terms of whole images, computed once and kept: the weight map out of core."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from torch import distributed

from bigunet.errors import OutputError
from bigunet.geometry import Box
from bigunet.io.scratch import ScratchArray
from bigunet.io.sources import Source, open_source
from bigunet.training.loop import Machine
from bigunet.training.patches import read_border_term
from bigunet.training.recipe import Recipe
from bigunet.training.samples import Sample
from bigunet.workflows.train_job import TrainJob
from bigunet.workflows.train_set import TrainingSet

_CHUNK_VOXELS = {2: 1024, 3: 96}


def keep_border_terms(training_set: TrainingSet, job: TrainJob, machine: Machine) -> list[Source]:
    """Border terms of all training samples, from the job's folder or computed into it.

    Labels that are corrected in place, without their folder or file looking newer, are not seen
    to have changed: remove the folder then.

    Parameters
    ----------
    training_set : TrainingSet
    job : TrainJob
        Its ``weight_cache`` is made where it is missing; one zarr array per sample.
    machine : Machine
        The first process computes, the others wait.
    """
    folder, recipe = Path(job.weight_cache), job.recipe
    about = [_about(sample, job, training_set.ndim) for sample in training_set.samples]
    paths = [_path(folder, one) for one in about]
    if machine.rank == 0:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot make {folder}: {error.strerror}") from error
        for sample, path, one in zip(training_set.samples, paths, about):
            _keep(sample, path, one, recipe, training_set.ndim)
    if machine.processes > 1:
        distributed.barrier()
    return [open_source(path) for path in paths]


def _keep(sample: Sample, path: Path, about: dict[str, object], recipe: Recipe, ndim: int) -> None:
    shape = sample.labels.shape
    chunks = (1,) * (len(shape) - ndim) + (_CHUNK_VOXELS[ndim],) * ndim
    array = ScratchArray(path, sample.labels.axes, shape, chunks, about)

    def values() -> Iterator[tuple[Box, np.ndarray]]:
        for box in array.boxes():
            yield box, read_border_term(sample, box, recipe, ndim=ndim)

    if not array.is_complete():
        array.write(values())


def _about(sample: Sample, job: TrainJob, ndim: int) -> dict[str, object]:
    """All that the terms depend on."""
    url = str(sample.labels.url)
    changed = Path(url).stat().st_mtime_ns if Path(url).exists() else 0
    return {
        "labels": url,
        "changed": changed,
        "shape": list(sample.labels.shape),
        "spacing": list(sample.spacing),
        "ndim": ndim,
        "level": job.options.level,
        "connected": job.options.connected,
        "w0": job.recipe.border_weight,
        "sigma": job.recipe.border_sigma,
    }


def _path(folder: Path, about: dict[str, object]) -> Path:
    told = json.dumps(about, sort_keys=True)
    name = Path(str(about["labels"])).stem
    return folder / f"{name}-{hashlib.sha256(told.encode()).hexdigest()[:16]}.zarr"
