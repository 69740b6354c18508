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
from bigunet.workflows.train_set import TrainingSet

_CHUNK_VOXELS = {2: 1024, 3: 96}


def keep_border_terms(
    training_set: TrainingSet, recipe: Recipe, folder: str, machine: Machine
) -> list[Source]:
    """Border terms of all training samples, from the folder or computed into it.

    Parameters
    ----------
    training_set : TrainingSet
    recipe : Recipe
    folder : str
        Made where it is missing; one zarr array per sample.
    machine : Machine
        The first process computes, the others wait.
    """
    paths = [_path(Path(folder), sample, recipe) for sample in training_set.samples]
    if machine.rank == 0:
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot make {folder}: {error.strerror}") from error
        for sample, path in zip(training_set.samples, paths):
            _keep(sample, path, recipe, training_set.ndim)
    if machine.processes > 1:
        distributed.barrier()
    return [open_source(path) for path in paths]


def _keep(sample: Sample, path: Path, recipe: Recipe, ndim: int) -> None:
    shape = sample.labels.shape
    chunks = (1,) * (len(shape) - ndim) + (_CHUNK_VOXELS[ndim],) * ndim
    array = ScratchArray(path, sample.labels.axes, shape, chunks, _about(sample, recipe))

    def values() -> Iterator[tuple[Box, np.ndarray]]:
        for box in array.boxes():
            yield box, read_border_term(sample, box, recipe, ndim=ndim)

    if not array.is_complete():
        array.write(values())


def _about(sample: Sample, recipe: Recipe) -> dict[str, object]:
    url = str(sample.labels.url)
    changed = Path(url).stat().st_mtime_ns if Path(url).exists() else 0
    return {
        "labels": url,
        "changed": changed,
        "shape": list(sample.labels.shape),
        "spacing": list(sample.spacing),
        "w0": recipe.border_weight,
        "sigma": recipe.border_sigma,
    }


def _path(folder: Path, sample: Sample, recipe: Recipe) -> Path:
    told = json.dumps(_about(sample, recipe), sort_keys=True)
    name = Path(str(sample.labels.url)).stem
    return folder / f"{name}-{hashlib.sha256(told.encode()).hexdigest()[:16]}.zarr"
