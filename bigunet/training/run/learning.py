"""What one process of a training run works with, from the first step to the last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bigunet.events import OnTrainEvent
from bigunet.training.checkpoint import Learner, TrainingState, save_checkpoint
from bigunet.training.data.patches import PatchSource
from bigunet.training.data.training_set import TrainingSet
from bigunet.training.loop import Machine, Trainer
from bigunet.training.run.judge import Judge
from bigunet.training.run.model_writer import ModelWriter
from bigunet.training.run.run_folder import Record
from bigunet.training.run.training_run import TrainingRun


@dataclass(frozen=True, slots=True)
class Learning:
    """The parts of a run that is going on; :func:`bigunet.training.run.begin.begin` makes them."""

    run: TrainingRun
    machine: Machine
    training_set: TrainingSet
    learner: Learner
    trainer: Trainer
    judge: Judge
    writer: ModelWriter
    record: Record
    source: PatchSource
    fingerprint: dict[str, Any]
    on_event: OnTrainEvent

    @property
    def leads(self) -> bool:
        """Whether this is the process that validates and writes."""
        return self.machine.rank == 0

    @property
    def state(self) -> TrainingState:
        """How far the run has come."""
        return self.trainer.state

    @property
    def is_stale(self) -> bool:
        """Whether the run has to end because the score has not risen for too long.

        A resumed run that was stale when it stopped is stale at once.
        """
        patience = self.run.recipe.patience
        return patience > 0 and self.state.stale >= patience

    @property
    def has_time_to_validate(self) -> bool:
        """Whether the budget allows a validation before the last one; all processes agree."""
        allowed = self.judge.budget.allows_another(self.state.seconds)
        return bool(self.machine.agreed(float(allowed)))

    @property
    def num_patches(self) -> int:
        """Number of patches that the run has seen."""
        return self.state.step * self.run.recipe.batch * self.machine.processes

    @property
    def num_weights(self) -> int:
        """Number of weights of the network."""
        return sum(p.numel() for p in self.learner.module.parameters())

    def save_checkpoint(self) -> None:
        """Write the checkpoint of this moment."""
        save_checkpoint(self.run.checkpoint, self.learner, self.state, self.fingerprint)
