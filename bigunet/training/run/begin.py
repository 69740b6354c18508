"""What a training run begins with: network, learner, batches, and the run's fingerprint."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from bigunet.errors import ResumeError
from bigunet.model.networks.network import Network
from bigunet.training.checkpoint import Learner, Progress
from bigunet.training.data.loader import Batch, Share, batches
from bigunet.training.data.patches import PatchSource
from bigunet.training.data.training_set import TrainingSet
from bigunet.training.loop import Machine, layout_of
from bigunet.training.run.description import TrainJob
from bigunet.training.run.first_network import begin_network, choose_loaders
from bigunet.training.schedule import optimiser_of
from bigunet.urls import shown_url


def check_model_is_there(job: TrainJob, begun: Progress) -> None:
    """Refuse to go on with a run after its best model was taken away.

    Raises
    ------
    ResumeError
    """
    if begun.best_step > 0 and not job.path.is_file():
        raise ResumeError(
            f"the model of step {begun.best_step} is gone from {job.path}; put it back, or begin "
            "anew with --overwrite"
        )


def network_on(job: TrainJob, training_set: TrainingSet, device: torch.device) -> Network:
    """The network that the job begins with, on a device, in the layout that is fastest there."""
    module = begin_network(job.options, training_set, seed=job.recipe.seed)
    module.to(device=device, memory_format=layout_of(module))  # type: ignore[call-overload]
    return module


def learner_of(module: Network, job: TrainJob) -> Learner:
    """What learns: the network, the average of its weights, and the recipe's optimiser."""
    average = copy.deepcopy(module).eval().requires_grad_(False)
    return Learner(module, average, optimiser_of(module, job.recipe))


def batches_of(source: PatchSource, job: TrainJob, machine: Machine, first: int) -> Iterator[Batch]:
    """This process's batches, from step ``first`` on."""
    return batches(
        source,
        Share(job.recipe.batch, machine.rank, machine.processes),
        first=first,
        loaders=choose_loaders(job.options, machine.device),
        pinned=machine.device.type == "cuda",
    )


def fingerprint_of(job: TrainJob, training_set: TrainingSet) -> dict[str, Any]:
    """What decides the weights; of paths only the names, so that the images may be moved."""
    parts = [
        (
            Path(shown_url(s.image.url)).name,
            s.image.shape,
            Path(shown_url(s.labels.url)).name,
            s.grey_range.low,
            s.grey_range.high,
        )
        for s in (*training_set.samples, *training_set.validation)
    ]
    return {
        "recipe": job.recipe.to_dict(),
        "options": job.options.lasting(),
        "images": parts,
        "voxels of the classes": list(training_set.census.counts),
    }
