"""The training loop: batches in, a better network out.

It neither prints nor writes. Its caller validates, and decides which weights to keep.
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
from bigunet.training.checkpoint import Learner, TrainingState
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
        Number of steps done, this one included.
    share : float
        Share of the run that is done, 0 to 1.
    loss : float
        Loss of this step's batch, averaged over all processes.
    learning_rate : float
        Learning rate of this step.
    """

    number: int
    share: float
    loss: float
    learning_rate: float


@dataclass(frozen=True, slots=True)
class Machine:
    """The device and the processes that compute the steps.

    Parameters
    ----------
    device : torch.device
    rank, processes : int
        Number of this process, from 0, and number of all processes that share each step. Their
        gradients are averaged.
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
        """The first process's number: clocks differ, but all processes must stop together."""
        if self.processes == 1:
            return value
        number = torch.tensor(value, dtype=torch.float64, device=self.device)
        torch.distributed.broadcast(number, src=0)
        return float(number)


class Trainer:
    """Trains a network in place, one step at a time, until the recipe's end.

    A run that continues from ``begun`` computes the same weights as an uninterrupted run, because
    patches and dropout are drawn from the number of the step.

    Parameters
    ----------
    learner : Learner
        Its modules are on ``machine.device``.
    batches : iterable of Batch
        The batches from step ``begun.step`` on.
    recipe : Recipe
    machine : Machine
    begun : TrainingState
        The state in a run's checkpoint, or ``TrainingState()``.
    clock : callable
        Returns the time in seconds; tests pass another clock.
    """

    def __init__(
        self,
        learner: Learner,
        batches: Iterable[Batch],
        recipe: Recipe,
        machine: Machine,
        *,
        begun: TrainingState,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.state = begun
        self._learner = learner
        self._network = _shared(learner.module, machine)
        self._layout = layout_of(learner.module, machine.device)
        self._batches = iter(batches)
        self._recipe = recipe
        self._machine = machine
        self._clock = clock
        self._share = self._share_done()

    @property
    def done(self) -> bool:
        """Whether the recipe has reached its end."""
        return self._share >= 1

    def step(self) -> Step:
        """Train on the next batch.

        Raises
        ------
        TrainingError
            If the loss is not finite: the network is useless from then on.
        """
        started = self._clock()
        batch = next(self._batches)
        waited = self._clock() - started
        number, rate = self.state.step, learning_rate(self._recipe, self._share)
        set_rate(self._learner.optimiser, rate)
        # Drawn from the seed and the step, so that a resumed run drops the same channels.
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
        self.state = self.state.advanced(loss, self._clock() - started, waited)
        self._share = self._share_done()
        return Step(self.state.step, self._share, loss, rate)

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
        """Share of the run that is done, 0 to 1."""
        if self._recipe.minutes > 0:
            share = self.state.seconds / (60 * self._recipe.minutes)
            return min(1.0, self._machine.agreed(share))
        return min(1.0, self.state.step / self._recipe.steps)


def layout_of(module: nn.Module, device: torch.device) -> torch.memory_format:
    """Channels last, because convolutions are then faster, on CPUs and on GPUs of NVIDIA."""
    if device.type == "mps":
        return torch.contiguous_format
    flat = any(parameter.ndim == 4 for parameter in module.parameters())
    return torch.channels_last if flat else torch.channels_last_3d


def _shared(module: nn.Module, machine: Machine) -> nn.Module:
    """The module, wrapped so that its gradients are averaged over all processes."""
    if machine.processes == 1:
        return module
    devices = [machine.device.index] if machine.device.type == "cuda" else None
    # It sends the first process's statistics to the others before each step, frozen ones too.
    # That is right, because the first process's average is the network that is kept.
    return DistributedDataParallel(module, device_ids=devices)
