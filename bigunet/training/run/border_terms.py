"""Border terms of whole images, computed once, box by box, and kept on disk."""

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
from bigunet.stores.access import reading
from bigunet.training.data.patches import read_border_term
from bigunet.training.data.samples import Sample
from bigunet.training.data.training_set import TrainingSet
from bigunet.training.loop import Machine
from bigunet.training.recipe import Recipe
from bigunet.training.run.training_run import TrainingRun
from bigunet.training.work_stages import Counted, OnStage, ignore_stage
from bigunet.urls import shown_url

_CHUNK_VOXELS = {2: 1024, 3: 96}


def keep_border_terms(
    training_set: TrainingSet,
    run: TrainingRun,
    machine: Machine,
    *,
    on_stage: OnStage = ignore_stage,
) -> list[Source]:
    """Border terms of all training samples, read from the run's folder or computed into it.

    Terms are computed again if labels on disk have changed. A change is recognised by the sizes
    and times of all files of the labels, not by their voxels. Remove the folder yourself after a
    change that cannot be recognised: of labels at a URL, because not all stores send an ETag, and
    of further files that a TIFF refers to. Terms of earlier states of the labels stay in the
    folder; remove it when no run uses it.

    Parameters
    ----------
    training_set : TrainingSet
    run : TrainingRun
        Its folder ``weight_cache`` gets one zarr array per sample; it is made if it is missing.
    machine : Machine
        The first process computes, and the other processes wait.
    on_stage : callable
        Called with the share that is done.

    Raises
    ------
    OutputError
        If the folder cannot be written, or if something else has the name of an array.
    ImageError
        If labels cannot be read.
    """
    folder, recipe = Path(run.weight_cache), run.recipe
    causes = [_causes(sample, run, training_set.ndim) for sample in training_set.samples]
    paths = [_path(folder, one) for one in causes]
    if machine.rank == 0:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot make {folder}: {error.strerror}") from error
        whole = sum(math.prod(sample.labels.shape) for sample in training_set.samples)
        counted = Counted("weight maps", whole, on_stage)
        for sample, path, one in zip(training_set.samples, paths, causes):
            _keep(sample, path, one, recipe, training_set.ndim, counted)
    if machine.processes > 1:
        on_gpu = machine.device.type == "cuda"
        distributed.barrier(device_ids=[machine.device.index] if on_gpu else None)
    return [open_source(path) for path in paths]


def _keep(
    sample: Sample,
    path: Path,
    causes: dict[str, object],
    recipe: Recipe,
    ndim: int,
    counted: Counted,
) -> None:
    shape = sample.labels.shape
    chunks = (1,) * (len(shape) - ndim) + (_CHUNK_VOXELS[ndim],) * ndim
    array = ScratchArray(path, sample.labels.axes, shape, chunks, causes)

    def values() -> Iterator[tuple[Box, np.ndarray]]:
        for box in array.boxes():
            yield box, read_border_term(sample, box, recipe, ndim=ndim)
            counted.add(box.size)

    array.write(values())


def _causes(sample: Sample, run: TrainingRun, ndim: int) -> dict[str, object]:
    """Everything that the terms of a sample depend on."""
    url = str(sample.labels.url)
    return {
        "labels": shown_url(url),
        "files": _digest_of_files(url),
        "shape": list(sample.labels.shape),
        "spacing": list(sample.spacing),
        "ndim": ndim,
        "level": run.options.level,
        "connected": run.options.connected,
        "ignore": list(run.options.ignore),
        "w0": run.recipe.border_weight,
        "sigma": run.recipe.border_sigma,
    }


def _path(folder: Path, causes: dict[str, object]) -> Path:
    text = json.dumps(causes, sort_keys=True)
    name = Path(str(causes["labels"])).stem
    return folder / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.zarr"


def _digest_of_files(url: str) -> str:
    """Digest of the names, sizes and times of a file, or of all files of a folder.

    No file is read: the entries of 1e5 files took half a second on a local disk. For a URL the
    digest is empty.
    """
    place = url.removeprefix("file://")
    if "://" in place:
        return ""
    with reading(place):
        if os.path.isdir(place):
            content = json.dumps(sorted(_files(place)))
        else:
            content = json.dumps([_size_and_time(os.stat(place))])
    return hashlib.sha256(content.encode()).hexdigest()


def _files(folder: str, inside: str = "") -> Iterator[tuple[str, int, int]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            name = f"{inside}{entry.name}"
            if entry.is_dir():
                yield from _files(entry.path, f"{name}/")
            elif entry.is_file():  # false for a link to a missing file
                yield name, *_size_and_time(entry.stat())


def _size_and_time(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_size, stat.st_mtime_ns
