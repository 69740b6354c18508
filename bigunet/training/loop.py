"""The training loop: patches in, a better network out, one event per report.

It neither prints nor writes files, and does not know what the classes mean to a score.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from bigunet.errors import TrainingError
from bigunet.model.unet import UNet
from bigunet.training.augment import Augmentation
from bigunet.training.patches import Sample, draw_patch
from bigunet.training.targets import target_of

_WARM_UP = 0.1
"""Share of the training during which the learning rate rises."""


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """How to train.

    Parameters
    ----------
    steps : int
        Batches in all.
    batch : int
        Patches per step.
    patch : int
        Voxels per axis that one patch is scored on, at least; the context comes on top.
    learning_rate, weight_decay : float
        Of AdamW; the rate rises to this value and falls on a cosine.
    border_weight, meeting_weight : float
        See ``targets.target_of``.
    averaging : float
        Decay, per step, of the running average of the weights that is handed out.
    bf16 : bool
        Compute convolutions in bfloat16.
    report_every : int
        Steps between two events.
    seed : int
    augmentation : Augmentation
    """

    steps: int = 2000
    batch: int = 4
    patch: int = 160
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    border_weight: float = 1.5
    meeting_weight: float = 3.0
    averaging: float = 0.998
    bf16: bool = False
    report_every: int = 200
    seed: int = 0
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "patch", "report_every"):
            if getattr(self, name) < 1:
                raise TrainingError(f"{name} is {getattr(self, name)}; give at least 1")
        if not self.learning_rate > 0:
            raise TrainingError(f"learning_rate is {self.learning_rate}; give a positive one")
        if not 0 <= self.averaging < 1:
            raise TrainingError(f"averaging is {self.averaging}; give a decay from 0 to below 1")


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """What the last steps did.

    Parameters
    ----------
    step : int
        Steps done.
    progress : float
        Share of the training that is done, 0 to 1.
    loss : float
        Mean over the steps since the last report.
    learning_rate : float
    seconds : float
        Spent in the loop's own work since it began; what the receiver does is not counted.
    module : UNet
        A copy with averaged weights, in evaluation mode; the receiver's to keep.
    """

    step: int
    progress: float
    loss: float
    learning_rate: float
    seconds: float
    module: UNet


def train(
    module: UNet,
    samples: Sequence[Sample],
    config: TrainingConfig,
    *,
    progress: Callable[[int], float] | None = None,
) -> Iterator[TrainingReport]:
    """Train ``module`` in place.

    The same seed gives the same weights on the same machine, unless ``progress`` follows a clock.

    Parameters
    ----------
    module : UNet
        As initialised, or already trained.
    samples : sequence of Sample
    config : TrainingConfig
    progress : callable, optional
        Share of the training that is done after so many steps; it ends at 1. By default
        ``step / config.steps``.

    Yields
    ------
    TrainingReport
        Every ``config.report_every`` steps, and after the last one.

    Raises
    ------
    TrainingError
        If there is no sample, a sample has other channels than the network, or the loss is no
        longer finite.
    """
    _check(module, samples)
    done = progress or (lambda step: step / config.steps)
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    average = copy.deepcopy(module).eval()
    optimiser = torch.optim.AdamW(
        module.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    losses: list[float] = []
    step, seconds, share = 0, 0.0, 0.0
    while share < 1:
        began = time.perf_counter()
        rate = config.learning_rate * schedule(share)
        for group in optimiser.param_groups:
            group["lr"] = rate
        losses.append(_step(module, optimiser, draw_batch(module, samples, config, rng), config))
        if not math.isfinite(losses[-1]):
            raise TrainingError(
                f"the loss became {losses[-1]} at step {step} with learning rate {rate:.3g}; "
                "check the images for values that are not finite, or lower the learning rate"
            )
        step += 1
        # A young average must forget the random weights it began with.
        _follow(average, module, min(config.averaging, step / (step + 10)))
        seconds += time.perf_counter() - began
        share = min(1.0, done(step))
        if step % config.report_every == 0 or share >= 1:
            mean = float(np.mean(losses))
            yield TrainingReport(step, share, mean, rate, seconds, copy.deepcopy(average))
            losses.clear()


def schedule(share: float) -> float:
    """Factor of the learning rate after this share of the training: a rise, then half a cosine.

    >>> schedule(0.1), round(schedule(1.0), 3)
    (1.0, 0.002)
    """
    if share < _WARM_UP:
        return 0.05 + 0.95 * share / _WARM_UP
    falling = (share - _WARM_UP) / (1 - _WARM_UP)
    return 0.002 + 0.998 * (1 + math.cos(math.pi * falling)) / 2


def draw_batch(
    module: UNet, samples: Sequence[Sample], config: TrainingConfig, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Images (n, channel, *space), and classes and weights (n, *space) of the scored part."""
    reach = module.config.receptive_field()
    shape = reach.input_shape((config.patch,) * module.config.ndim)
    inner = tuple(slice(b, n - b) for b, n in zip(reach.border, shape))
    images, classes, weights = [], [], []
    for _ in range(config.batch):
        patch = draw_patch(samples, shape, config.augmentation, rng)
        target = target_of(
            patch.instances,
            border_weight=config.border_weight,
            meeting_weight=config.meeting_weight,
        )
        images.append(patch.image)
        classes.append(target.classes[inner])
        weights.append(target.weights[inner])
    return (
        torch.from_numpy(np.stack(images)),
        torch.from_numpy(np.stack(classes).astype(np.int64)),
        torch.from_numpy(np.stack(weights)),
    )


def _step(
    module: UNet,
    optimiser: torch.optim.Optimizer,
    batch: tuple[Tensor, Tensor, Tensor],
    config: TrainingConfig,
) -> float:
    images, classes, weights = batch
    module.train()
    with torch.autocast(images.device.type, torch.bfloat16, enabled=config.bf16):
        scores = module(images)
    losses = functional.cross_entropy(scores.float(), classes, reduction="none")
    loss = (losses * weights).sum() / weights.sum()
    optimiser.zero_grad()
    torch.autograd.backward(loss)
    nn.utils.clip_grad_norm_(module.parameters(), 1.0)
    optimiser.step()
    return float(loss.detach())


@torch.no_grad()
def _follow(average: UNet, module: UNet, decay: float) -> None:
    """Move the running average, statistics of the batch normalisation too, towards the weights."""
    for mean, value in zip(average.state_dict().values(), module.state_dict().values()):
        if mean.is_floating_point():
            mean.lerp_(value, 1 - decay)
        else:
            mean.copy_(value)


def _check(module: UNet, samples: Sequence[Sample]) -> None:
    if not samples:
        raise TrainingError("there is no image to train on")
    channels = module.config.in_channels
    for index, sample in enumerate(samples):
        if sample.image.shape[0] != channels:
            raise TrainingError(
                f"image {index} has {sample.image.shape[0]} channels, the network {channels}"
            )
