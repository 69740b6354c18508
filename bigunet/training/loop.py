"""The training loop: batches in, a better network out.

It neither prints nor writes: what validation means, and what is kept, is its caller's.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from bigunet.errors import TrainingError
from bigunet.training.checkpoint import Learner, Progress
from bigunet.training.data.loader import Batch
from bigunet.training.loss import weighted_cross_entropy
from bigunet.training.recipe import Recipe
from bigunet.training.schedule import adopt_statistics, follow, learning_rate, set_rate


@dataclass(frozen=True, slots=True)
class Step:
    """What one step did.

    Parameters
    ----------
    number : int
        Steps done, with this one.
    share : float
        Of the run that is done, 0 to 1.
    loss : float
        Of this step's batch, the mean over all processes.
    learning_rate : float
        That the step was made with.
    """

    number: int
    share: float
    loss: float
    learning_rate: float


@dataclass(frozen=True, slots=True)
class Machine:
    """Where and by whom the steps are computed.

    Parameters
    ----------
    device : torch.device
    rank, processes : int
        Which of how many processes that share each step; their gradients are averaged.
    """

    device: torch.device
    rank: int = 0
    processes: int = 1

    def mean(self, value: float) -> float:
        """The mean of a number over all processes."""
        if self.processes == 1:
            return value
        total = torch.tensor(value, dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(total)
        return float(total) / self.processes

    def agreed(self, value: float) -> float:
        """The first process's number: clocks differ, and all must stop at the same step."""
        if self.processes == 1:
            return value
        told = torch.tensor(value, dtype=torch.float64, device=self.device)
        torch.distributed.broadcast(told, src=0)
        return float(told)


class Trainer:
    """Trains a network in place, a step at a time, until the recipe's end.

    A run that goes on from ``begun`` computes what the whole run would have: patches and dropout
    are drawn from the number of the step.

    Parameters
    ----------
    learner : Learner
        On ``machine.device``.
    batches : iterable of Batch
        From step ``begun.step`` on.
    recipe : Recipe
    machine : Machine
    begun : Progress
        Of a run's checkpoint, or ``Progress()``.
    clock : callable
        Seconds; another one in tests.
    """

    def __init__(
        self,
        learner: Learner,
        batches: Iterable[Batch],
        recipe: Recipe,
        machine: Machine,
        *,
        begun: Progress,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.progress = begun
        self._learner = learner
        self._network = _shared(learner.module, machine)
        self._layout = layout_of(learner.module)
        self._batches = iter(batches)
        self._recipe = recipe
        self._machine = machine
        self._clock = clock
        self._share = self._share_done()

    @property
    def done(self) -> bool:
        """Whether the recipe is at its end."""
        return self._share >= 1

    def step(self) -> Step:
        """Train on the next batch.

        Raises
        ------
        TrainingError
            If the loss is no longer finite; the network is then of no use.
        """
        started = self._clock()
        batch = next(self._batches)
        waited = self._clock() - started
        number, rate = self.progress.step, learning_rate(self._recipe, self._share)
        set_rate(self._learner.optimiser, rate)
        # Counted from the seed and the step, so that a resumed run drops the same channels.
        entropy = np.random.SeedSequence([self._recipe.seed, number, self._machine.rank])
        torch.manual_seed(int(entropy.generate_state(1, np.uint64)[0]))
        loss = self._learn(batch.to(self._machine.device, self._layout))
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss became {loss} at step {number} with learning rate {rate:.3g}; lower "
                "the learning rate, or look for images unlike the others"
            )
        follow(
            self._learner.average,
            self._learner.module,
            decay=self._recipe.averaging,
            step=number + 1,
        )
        self.progress = self.progress.advanced(loss, self._clock() - started, waited)
        self._share = self._share_done()
        return Step(self.progress.step, self._share, loss, rate)

    def _learn(self, batch: Batch) -> float:
        learner, recipe = self._learner, self._recipe
        self._network.train()
        if self._share >= recipe.freeze_statistics:
            adopt_statistics(learner.module, learner.average)
        lower = recipe.precision == "bf16"
        with torch.autocast(batch.images.device.type, torch.bfloat16, enabled=lower):
            scores = self._network(batch.images)
        loss = weighted_cross_entropy(scores, batch.classes, batch.weights)
        learner.optimiser.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(learner.module.parameters(), recipe.clip)
        learner.optimiser.step()
        return self._machine.mean(float(loss.detach()))

    def _share_done(self) -> float:
        """Of the run, 0 to 1."""
        if self._recipe.minutes > 0:
            share = self.progress.seconds / (60 * self._recipe.minutes)
            return min(1.0, self._machine.agreed(share))
        return min(1.0, self.progress.step / self._recipe.steps)


def layout_of(module: nn.Module) -> torch.memory_format:
    """Channels last: faster convolutions, on CPUs and GPUs alike."""
    flat = any(parameter.ndim == 4 for parameter in module.parameters())
    return torch.channels_last if flat else torch.channels_last_3d


def _shared(module: nn.Module, machine: Machine) -> nn.Module:
    """The module, with its gradients averaged over all processes."""
    if machine.processes == 1:
        return module
    devices = [machine.device.index] if machine.device.type == "cuda" else None
    # It sends the first process's statistics to the others before each step, frozen ones too:
    # that process's average is what is kept.
    return DistributedDataParallel(module, device_ids=devices)
