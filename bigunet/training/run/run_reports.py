"""What a training run reports: its first event, the rows of its curves, and its report."""

from __future__ import annotations

import math

import numpy as np

from bigunet.events import TrainBegun
from bigunet.training.data.sample_checks import has_equal_channels
from bigunet.training.loop import Step
from bigunet.training.run.learning import Learning
from bigunet.training.run.run_folder import Row
from bigunet.training.run.train_report import TrainReport
from bigunet.urls import shown_url


def begun_event(learning: Learning) -> TrainBegun:
    """The event before the first step."""
    run, training_set, state = learning.run, learning.training_set, learning.state
    shared = training_set.num_shared
    first = training_set.samples[0].image
    return TrainBegun(
        images=len(training_set.samples),
        validation_images=len(training_set.validation),
        patch_shape=learning.source.shape,
        weights=learning.num_weights,
        steps_done=state.step,
        score_name=learning.judge.score_name,
        channels=training_set.in_channels,
        one_cut=shared > 0 and not run.validation,
        shared_images=shared if run.validation else 0,
        equal_channels=shown_url(first.url) if has_equal_channels(first) else "",
        kept_model=str(run.path) if not state.best_step and run.path.exists() else "",
        class_shares=training_set.class_shares,
        annotated_share=training_set.annotated_share,
        doubts=training_set.doubts,
    )


def add_row(learning: Learning, step: Step, score: float) -> None:
    """Add a row to the curves; ``score`` is NaN where there was no validation."""
    state = learning.state
    learning.trainer.state = state.without_losses()
    if not learning.leads:
        return
    seconds = max(state.seconds, 1e-9)
    learning.record.add(
        Row(
            step=step.number,
            loss=float(np.mean(state.losses)) if state.losses else math.nan,
            score=score,
            learning_rate=step.learning_rate,
            seconds=state.seconds,
            patches_per_second=learning.num_patches / seconds,
            waited=state.waited_seconds / seconds,
        )
    )


def report_of(learning: Learning, score: float, *, stopped_early: bool) -> TrainReport:
    """The report of a run that has ended."""
    training_set, state = learning.training_set, learning.state
    seconds = max(state.seconds, 1e-9)
    return TrainReport(
        path=learning.run.path,
        record=learning.run.folder,
        score_name=learning.judge.score_name,
        score=score,
        best_step=state.best_step,
        steps=state.step,
        seconds=state.seconds,
        patches_per_second=learning.num_patches / seconds,
        waited=state.waited_seconds / seconds,
        stopped_early=stopped_early,
        weights=learning.num_weights,
        class_shares=training_set.class_shares,
        annotated_share=training_set.annotated_share,
        doubts=training_set.doubts,
        voxel_size_um=training_set.voxel_size_um,
    )
