"""The beginning of a training run: all that exists before the first step."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from bigunet.errors import ResumeError
from bigunet.events import AtWork, OnTrainEvent
from bigunet.model.networks.network import Network
from bigunet.training.checkpoint import Learner, TrainingState, load_checkpoint, save_checkpoint
from bigunet.training.data.loader import Batch, Share, batches
from bigunet.training.data.patches import PatchSource
from bigunet.training.data.training_set import TrainingSet, open_training_set, with_border_terms
from bigunet.training.loop import Machine, Trainer, layout_of
from bigunet.training.run.border_terms import keep_border_terms
from bigunet.training.run.budget import Budget
from bigunet.training.run.first_network import begin_network, choose_loaders
from bigunet.training.run.judge import Judge
from bigunet.training.run.learning import Learning
from bigunet.training.run.model_writer import ModelWriter
from bigunet.training.run.run_folder import Record
from bigunet.training.run.training_run import TrainingRun
from bigunet.training.schedule import optimiser_of
from bigunet.training.work_stages import OnStage, ignore_stage
from bigunet.urls import shown_url


def begin(run: TrainingRun, machine: Machine, on_event: OnTrainEvent) -> Learning:
    """Open the images, make or load the network, and make what learns from the first step on.

    Raises
    ------
    BigUNetError
        As :func:`bigunet.training.train.train`.
    """
    on_stage = _stages_to(on_event) if machine.rank == 0 else ignore_stage
    training_set = _opened(run, on_stage)
    run = _with_border_weight(run, training_set)
    if _keeps_border_terms(run, training_set):
        terms = keep_border_terms(training_set, run, machine, on_stage=on_stage)
        training_set = with_border_terms(training_set, terms)
    learner = _learner(_network(run, training_set, machine.device), run)
    fingerprint = fingerprint_of(run, training_set)
    source = _patch_source(run, training_set, learner.module)
    record = Record(run.folder)
    begun = _begun_state(run, learner, record, fingerprint, leads=machine.rank == 0)
    incoming = _batches(source, run, machine, begun.step)
    return Learning(
        run=run,
        machine=machine,
        training_set=training_set,
        learner=learner,
        trainer=Trainer(learner, incoming, run.recipe, machine, begun=begun),
        judge=Judge(
            training_set, run.recipe, str(machine.device), Budget(run.recipe.minutes), on_stage
        ),
        writer=ModelWriter(training_set, run.recipe, run.options, run.card, run.path, run.preset),
        record=record,
        source=source,
        fingerprint=fingerprint,
        on_event=on_event,
    )


def fingerprint_of(run: TrainingRun, training_set: TrainingSet) -> dict[str, Any]:
    """What decides the weights. Paths count by their names only, so that images may be moved."""
    images = [
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
        "recipe": run.recipe.to_dict(),
        "options": run.options.lasting(),
        "images": images,
        "voxels of the classes": list(training_set.census.counts),
    }


def _stages_to(on_event: OnTrainEvent) -> OnStage:
    return lambda stage, share: on_event(AtWork(stage, share))


def _opened(run: TrainingRun, on_stage: OnStage) -> TrainingSet:
    validation = (run.validation[0], run.validation[1]) if run.validation else None
    return open_training_set(
        run.images, run.labels, run.options, run.recipe, validation=validation, on_stage=on_stage
    )


def _with_border_weight(run: TrainingRun, training_set: TrainingSet) -> TrainingRun:
    """The run with the border weight that its recipe leaves to the target."""
    weight = run.recipe.border_weight_of(training_set.rule.kind, training_set.ndim)
    return replace(run, recipe=replace(run.recipe, border_weight=weight))


def _keeps_border_terms(run: TrainingRun, training_set: TrainingSet) -> bool:
    weight = run.recipe.border_weight or 0.0
    return bool(run.weight_cache) and weight > 0 and training_set.rule.kind != "classes"


def _network(run: TrainingRun, training_set: TrainingSet, device: torch.device) -> Network:
    """The network before the first step, on a device, in the layout that is fastest there."""
    module = begin_network(run.options, training_set, seed=run.recipe.seed)
    module.to(device=device, memory_format=layout_of(module, device))  # type: ignore[call-overload]
    return module


def _learner(module: Network, run: TrainingRun) -> Learner:
    average = copy.deepcopy(module).eval().requires_grad_(False)
    return Learner(module, average, optimiser_of(module, run.recipe))


def _patch_source(run: TrainingRun, training_set: TrainingSet, module: Network) -> PatchSource:
    return PatchSource(
        training_set.samples,
        run.recipe,
        training_set.rule,
        training_set.class_weights,
        module.config.receptive_field(),
        annotated_share=training_set.annotated_share,
    )


def _begun_state(
    run: TrainingRun,
    learner: Learner,
    record: Record,
    fingerprint: dict[str, Any],
    *,
    leads: bool,
) -> TrainingState:
    """The state that the run continues from, after all checks that can be made before a step."""
    if run.existing == "resume":
        begun = load_checkpoint(run.checkpoint, learner, fingerprint)
        _check_model_exists(run, begun)
        record.reopen(begun.step)
        return begun
    if leads:
        if run.existing == "overwrite":
            run.clear_record()
        # Two reasons to write now: a run that is cut off before its first validation can continue,
        # and a folder that cannot be written is an error now, not after an hour of training.
        save_checkpoint(run.checkpoint, learner, TrainingState(), fingerprint)
    return TrainingState()


def _check_model_exists(run: TrainingRun, begun: TrainingState) -> None:
    """Raise ResumeError if a run's best model was removed."""
    if begun.best_step > 0 and not run.path.is_file():
        raise ResumeError(
            f"the model of step {begun.best_step} is gone from {run.path}; put it back, or begin "
            "anew with --overwrite"
        )


def _batches(
    source: PatchSource, run: TrainingRun, machine: Machine, first: int
) -> Iterator[Batch]:
    """This process's batches, from step ``first`` on."""
    return batches(
        source,
        Share(run.recipe.batch, machine.rank, machine.processes),
        first=first,
        loaders=choose_loaders(run.options, machine.device),
        pinned=machine.device.type == "cuda",
    )
