"""One process's part of a training run: learn, validate, keep the best, leave checkpoints."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bigunet.errors import LabelsError, ModelError, TrainingError
from bigunet.model.inference.forward import compute_exactly_on_cuda
from bigunet.training.checkpoint import Learner, Progress, load_checkpoint, save_checkpoint
from bigunet.training.data.loader import loaders_watched
from bigunet.training.data.patches import PatchSource
from bigunet.training.data.training_set import (
    TrainingSet,
    has_equal_channels,
    open_training_set,
    with_border_terms,
)
from bigunet.training.loop import Machine, Step, Trainer
from bigunet.training.run.begin import (
    batches_of,
    check_model_is_there,
    fingerprint_of,
    learner_of,
    network_on,
)
from bigunet.training.run.border_terms import keep_border_terms
from bigunet.training.run.budget import Budget
from bigunet.training.run.description import (
    AtWork,
    StepDone,
    TrainBegun,
    TrainEvent,
    TrainJob,
    TrainReport,
    Validated,
)
from bigunet.training.run.first_network import choose_device
from bigunet.training.run.judge import Judge
from bigunet.training.run.run_folder import Record, Row
from bigunet.training.run.work_stages import OnStage, say_nothing
from bigunet.urls import shown_url

_ROWS_PER_VALIDATION = 10
_SHOWN_LOSSES = 50


@dataclass(slots=True)
class _Run:
    """What the stops of a run work with."""

    job: TrainJob
    machine: Machine
    learner: Learner
    trainer: Trainer
    judge: Judge
    record: Record
    source: PatchSource
    fingerprint: dict[str, Any]
    on_event: Callable[[TrainEvent], None]

    @property
    def leads(self) -> bool:
        """Whether this is the process that validates and writes."""
        return self.machine.rank == 0


def run(
    job: TrainJob, rank: int, processes: int, on_event: Callable[[TrainEvent], None]
) -> TrainReport | None:
    """Train; the first process returns a report, the others nothing.

    Raises
    ------
    BigUNetError
        As :func:`bigunet.training.train.train`.
    """
    device = choose_device(job.options.device, rank)
    if device.type == "cuda":
        # Before the first step, so that a resumed run computes the same.
        compute_exactly_on_cuda()
    machine = Machine(device, rank, processes)
    on_stage = _stages_to(on_event) if rank == 0 else say_nothing
    training_set = _training_set(job, machine, on_stage)
    weight = job.recipe.border_weight_of(training_set.rule.kind, training_set.ndim)
    job = replace(job, recipe=replace(job.recipe, border_weight=weight))
    module = network_on(job, training_set, device)
    learner = learner_of(module, job)
    fingerprint = fingerprint_of(job, training_set)
    source = PatchSource(
        training_set.samples,
        job.recipe,
        training_set.rule,
        training_set.class_weights,
        module.config.receptive_field(),
        annotated_share=training_set.annotated_share,
    )
    record = Record(job.folder)
    begun = _begin(job, learner, record, fingerprint, leads=rank == 0)
    incoming = batches_of(source, job, machine, begun.step)
    trainer = Trainer(learner, incoming, job.recipe, machine, begun=begun)
    judge = Judge(
        training_set,
        job.recipe,
        job.options,
        job.card,
        job.path,
        str(device),
        Budget(job.recipe.minutes),
        on_stage,
    )
    one = _Run(job, machine, learner, trainer, judge, record, source, fingerprint, on_event)
    with loaders_watched():
        return _train(one)


def _stages_to(on_event: Callable[[TrainEvent], None]) -> OnStage:
    return lambda stage, share: on_event(AtWork(stage, share))


def _training_set(job: TrainJob, machine: Machine, on_stage: OnStage) -> TrainingSet:
    recipe = job.recipe
    validation = (job.validation[0], job.validation[1]) if job.validation else None
    found = open_training_set(
        job.images, job.labels, job.options, recipe, validation=validation, on_stage=on_stage
    )
    weight = recipe.border_weight_of(found.rule.kind, found.ndim)
    if job.weight_cache and weight > 0 and found.rule.kind != "classes":
        job = replace(job, recipe=replace(recipe, border_weight=weight))
        return with_border_terms(found, keep_border_terms(found, job, machine, on_stage=on_stage))
    return found


def _begin(
    job: TrainJob,
    learner: Learner,
    record: Record,
    fingerprint: Mapping[str, Any],
    *,
    leads: bool,
) -> Progress:
    """Where the run goes on, once all that can be checked before a step has been."""
    if job.existing == "resume":
        begun = load_checkpoint(job.checkpoint, learner, fingerprint)
        check_model_is_there(job, begun)
        record.reopen(begun.step)
        return begun
    if leads:
        if job.existing == "overwrite":
            job.clear_record()
        # A run that is cut off before the first validation can go on, too; and a place that
        # cannot be written is told before an hour of training, not after.
        save_checkpoint(job.checkpoint, learner, Progress(), fingerprint)
    return Progress()


def _train(one: _Run) -> TrainReport | None:
    every = one.job.recipe.validate_every
    stopped = _stale(one)
    if one.leads:
        one.on_event(_begun(one))
    while not one.trainer.done and not stopped:
        with _last_good_kept(one):
            step = one.trainer.step()
        if one.leads:
            losses = one.trainer.progress.losses[-_SHOWN_LOSSES:]
            one.on_event(StepDone(step.number, step.share, float(np.mean(losses))))
        if one.trainer.done or (step.number % every == 0 and _may_validate(one)):
            stopped = _validate(one, step)
        elif step.number % max(1, every // _ROWS_PER_VALIDATION) == 0:
            _add_row(one, step, math.nan)
    return _finish(one, stopped) if one.leads else None


@contextmanager
def _last_good_kept(one: _Run) -> Iterator[None]:
    """Say of a network that diverged which weights are kept."""
    try:
        yield
    except (TrainingError, LabelsError, ModelError) as error:
        step = one.trainer.progress.step
        told = f"the network diverged by step {step}: {error}"
        if not isinstance(error, ModelError):
            told = str(error)
        if one.leads and one.trainer.progress.best_step > 0:
            kept = one.trainer.progress.best_step
            told = f"{told}; the model of step {kept} is kept as {one.job.path}"
        if one.leads and step == 0:
            # There is nothing to go on from: the next try, with other images, begins anew.
            one.job.checkpoint.unlink(missing_ok=True)
        raise TrainingError(told) from error


def _validate(one: _Run, step: Step) -> bool:
    """Score the network, keep it if it is the best, leave a checkpoint; whether to stop."""
    with _last_good_kept(one):
        score = one.judge.score(one.learner.average) if one.leads else 0.0
    score = one.machine.agreed(score)
    _add_row(one, step, score)
    progress = one.trainer.progress = one.trainer.progress.scored(score)
    if one.leads:
        kept = progress.best_step == progress.step
        if kept:
            # Before the checkpoint: a run that is killed between the two keeps it again.
            one.judge.keep(one.learner.average, progress)
        save_checkpoint(one.job.checkpoint, one.learner, progress, one.fingerprint)
        one.record.draw(now=False)
        one.on_event(Validated(step.number, score, kept, one.judge.validated_share))
    return _stale(one)


def _may_validate(one: _Run) -> bool:
    """Whether a validation before the last one has its time; all processes agree."""
    allowed = one.judge.budget.allows_another(one.trainer.progress.seconds)
    return bool(one.machine.agreed(float(allowed)))


def _stale(one: _Run) -> bool:
    """Whether the score has not risen for so long that the run ends; so of a resumed one, too."""
    patience = one.job.recipe.patience
    return patience > 0 and one.trainer.progress.stale >= patience


def _add_row(one: _Run, step: Step, score: float) -> None:
    progress = one.trainer.progress
    one.trainer.progress = progress.told()
    if not one.leads:
        return
    seconds = max(progress.seconds, 1e-9)
    one.record.add(
        Row(
            step=step.number,
            loss=float(np.mean(progress.losses)) if progress.losses else math.nan,
            score=score,
            learning_rate=step.learning_rate,
            seconds=progress.seconds,
            patches_per_second=_patches(one) / seconds,
            waited=progress.waited_seconds / seconds,
        )
    )


def _finish(one: _Run, stopped: bool) -> TrainReport:
    progress = one.trainer.progress
    score = one.judge.finish(progress)
    one.record.draw()
    model = one.judge.model_of_file()
    one.record.draw_patches(
        one.source,
        model,
        one.judge.classes,
        device=str(one.machine.device),
        on_stage=one.judge.on_stage,
    )
    one.job.checkpoint.unlink(missing_ok=True)
    return TrainReport(
        path=one.job.path,
        record=one.job.folder,
        score_name=one.judge.score_name,
        score=score,
        best_step=progress.best_step,
        steps=progress.step,
        seconds=progress.seconds,
        patches_per_second=_patches(one) / max(progress.seconds, 1e-9),
        waited=progress.waited_seconds / max(progress.seconds, 1e-9),
        stopped_early=stopped,
        weights=_num_weights(one.learner),
        class_shares=one.judge.training_set.class_shares,
        annotated_share=one.judge.training_set.annotated_share,
        doubts=one.judge.training_set.doubts,
        voxel_size_um=one.judge.training_set.voxel_size_um,
    )


def _begun(one: _Run) -> TrainBegun:
    training_set, progress = one.judge.training_set, one.trainer.progress
    shared = training_set.num_shared
    first = training_set.samples[0].image
    return TrainBegun(
        images=len(training_set.samples),
        validation_images=len(training_set.validation),
        patch_shape=one.source.shape,
        weights=_num_weights(one.learner),
        steps_done=progress.step,
        score_name=one.judge.score_name,
        channels=training_set.in_channels,
        one_cut=shared > 0 and not one.job.validation,
        shared_images=shared if one.job.validation else 0,
        equal_channels=shown_url(first.url) if has_equal_channels(first) else "",
        kept_model=str(one.job.path) if not progress.best_step and one.job.path.exists() else "",
        class_shares=training_set.class_shares,
        annotated_share=training_set.annotated_share,
        doubts=training_set.doubts,
    )


def _patches(one: _Run) -> int:
    """That the run has seen so far."""
    return one.trainer.progress.step * one.job.recipe.batch * one.machine.processes


def _num_weights(learner: Learner) -> int:
    return sum(p.numel() for p in learner.module.parameters())
