"""One process's part of a training run: begin, learn, validate, keep the best, report."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from bigunet.errors import LabelsError, ModelError, TrainingError
from bigunet.events import OnTrainEvent, StepDone, Validated
from bigunet.model.inference.forward import compute_exactly_on_cuda
from bigunet.training.loop import Machine, Step
from bigunet.training.run.begin import begin
from bigunet.training.run.final_model import finish_model
from bigunet.training.run.first_network import choose_device
from bigunet.training.run.learning import Learning
from bigunet.training.run.run_reports import add_row, begun_event, report_of
from bigunet.training.run.train_report import TrainReport
from bigunet.training.run.training_run import TrainingRun

_ROWS_PER_VALIDATION = 10
_AVERAGED_LOSSES = 50


def learn(
    run: TrainingRun, rank: int, processes: int, on_event: OnTrainEvent
) -> TrainReport | None:
    """Train; the first process returns a report, the other processes return None.

    Raises
    ------
    BigUNetError
        As :func:`bigunet.training.train.train`.
    """
    learning = begin(run, _machine(run, rank, processes), on_event)
    if learning.leads:
        on_event(begun_event(learning))
    stopped_early = _learn_to_the_end(learning)
    return _finish(learning, stopped_early) if learning.leads else None


def _machine(run: TrainingRun, rank: int, processes: int) -> Machine:
    device = choose_device(run.options.device, rank)
    if device.type == "cuda":
        # Before the first step, so that a resumed run computes the same.
        compute_exactly_on_cuda()
    return Machine(device, rank, processes)


def _learn_to_the_end(learning: Learning) -> bool:
    """Take steps and validate until the recipe ends; return whether the run stopped before that."""
    recipe = learning.run.recipe
    row_every = max(1, recipe.validate_every // _ROWS_PER_VALIDATION)
    stopped = learning.is_stale
    while not learning.trainer.done and not stopped:
        step = _take_step(learning)
        is_due = step.number % recipe.validate_every == 0
        if learning.trainer.done or (is_due and learning.has_time_to_validate):
            _validate(learning, step)
            stopped = learning.is_stale
        elif step.number % row_every == 0:
            add_row(learning, step, math.nan)
    return stopped


def _take_step(learning: Learning) -> Step:
    with _last_good_model_named(learning):
        step = learning.trainer.step()
    if learning.leads:
        losses = learning.state.losses[-_AVERAGED_LOSSES:]
        learning.on_event(StepDone(step.number, step.share, float(np.mean(losses))))
    return step


def _validate(learning: Learning, step: Step) -> None:
    """Score the network, keep it if it is the best so far, and write a checkpoint."""
    with _last_good_model_named(learning):
        score = _score(learning) if learning.leads else 0.0
    score = learning.machine.agreed(score)
    add_row(learning, step, score)
    learning.trainer.state = learning.state.scored(score)
    if learning.leads:
        is_best = learning.state.best_step == learning.state.step
        if is_best:
            # Before the checkpoint: a run that is killed between the two writes the model again.
            learning.writer.write(learning.learner.average, learning.state)
        learning.save_checkpoint()
        learning.record.draw(now=False)
        looked_at = learning.judge.validated_share
        learning.on_event(Validated(step.number, score, is_best, looked_at))


def _score(learning: Learning) -> float:
    return learning.judge.score(learning.writer.model_of(learning.learner.average))


def _finish(learning: Learning, stopped_early: bool) -> TrainReport:
    """Complete the model file, draw the pictures, and remove the checkpoint."""
    score = finish_model(learning.writer, learning.judge, learning.state)
    learning.record.draw()
    learning.record.draw_patches(
        learning.source,
        learning.writer.written_model(),
        learning.writer.classes,
        device=str(learning.machine.device),
        on_stage=learning.judge.on_stage,
    )
    learning.run.checkpoint.unlink(missing_ok=True)
    return report_of(learning, score, stopped_early=stopped_early)


@contextmanager
def _last_good_model_named(learning: Learning) -> Iterator[None]:
    """Add to the error of a network that diverged which model is kept."""
    try:
        yield
    except (TrainingError, LabelsError, ModelError) as error:
        step = learning.state.step
        message = str(error)
        if isinstance(error, ModelError):
            message = f"the network diverged by step {step}: {error}"
        best_step = learning.state.best_step
        if learning.leads and best_step > 0:
            message += f"; the model of step {best_step} is kept as {learning.run.path}"
        if learning.leads and step == 0:
            # There is nothing to continue from: the next try, with other images, begins anew.
            learning.run.checkpoint.unlink(missing_ok=True)
        raise TrainingError(message) from error
