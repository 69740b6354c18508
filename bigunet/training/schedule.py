"""The parts of training that a recipe names: optimiser, learning rate, average, statistics."""

from __future__ import annotations

import math

import torch
from torch import nn

from bigunet.training.recipe import Recipe

_LOWEST = 0.002


def learning_rate(recipe: Recipe, share: float) -> float:
    """Learning rate after a share of the run, 0 to 1.

    >>> recipe = Recipe(learning_rate=1.0, warm_up=0.1)
    >>> [round(learning_rate(recipe, share), 3) for share in (0.0, 0.1, 1.0)]
    [0.05, 1.0, 0.002]
    """
    if share < recipe.warm_up:
        return recipe.learning_rate * (0.05 + 0.95 * share / recipe.warm_up)
    if recipe.schedule == "constant":
        return recipe.learning_rate
    falling = (share - recipe.warm_up) / (1 - recipe.warm_up)
    wave = (1 + math.cos(math.pi * min(1.0, falling))) / 2
    return recipe.learning_rate * (_LOWEST + (1 - _LOWEST) * wave)


def optimiser_of(module: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimiser over all weights of ``module``."""
    if recipe.optimiser == "adamw":
        return torch.optim.AdamW(
            module.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
    return torch.optim.SGD(
        module.parameters(),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
    )


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Use this learning rate from now on."""
    for group in optimiser.param_groups:
        group["lr"] = rate


@torch.no_grad()
def follow(average: nn.Module, module: nn.Module, *, decay: float, step: int) -> None:
    """Move the running average towards the weights and the batch normalisation's statistics.

    Parameters
    ----------
    average, module : torch.nn.Module
        Two networks of one architecture; ``average`` is changed.
    decay : float
        Share of the average that stays. In the first steps a smaller share stays, so that the
        average forgets the random weights that it began with.
    step : int
        Number of steps done, at least 1.
    """
    decay = min(decay, step / (step + 10))
    for mean, value in zip(average.state_dict().values(), module.state_dict().values()):
        if mean.is_floating_point():
            mean.lerp_(value, 1 - decay)
        else:
            mean.copy_(value)


@torch.no_grad()
def adopt_statistics(module: nn.Module, average: nn.Module) -> None:
    """Let batch normalisation in ``module`` use the statistics of ``average`` from now on.

    The statistics of a batch describe its one or two images. The network that is kept uses
    statistics averaged over many images, so the weights are fitted to these. Only the first call
    changes anything: an average that follows equal statistics keeps them.

    Parameters
    ----------
    module, average : torch.nn.Module
        Two networks of one architecture; ``module``, in training mode, is changed.
    """
    for layer, smooth in zip(module.modules(), average.modules()):
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.eval()
            for statistic, mean in zip(layer.buffers(), smooth.buffers()):
                statistic.copy_(mean)
