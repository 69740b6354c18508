"""The loop: learns, goes on as if never stopped, and stops when the loss is no number."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from support.discs import discs, sample_of

from bigunet.errors import TrainingError
from bigunet.model.networks.unet import UNet, UNetConfig
from bigunet.training.checkpoint import Learner, TrainingState
from bigunet.training.data.loader import Batch, Share, batches
from bigunet.training.data.patches import PatchSource
from bigunet.training.data.targets import TargetRule
from bigunet.training.loop import Machine, Trainer
from bigunet.training.recipe import Recipe
from bigunet.training.schedule import follow, optimiser_of

CONFIG = UNetConfig(ndim=2, classes=3, width=4, depth=1, batch_norm=True, dropout=0.3)
RECIPE = Recipe(steps=12, patch=16, batch=2, optimiser="adamw", learning_rate=0.01)
CPU = Machine(torch.device("cpu"))


def learner_of(recipe: Recipe = RECIPE) -> Learner:
    torch.manual_seed(0)
    module = UNet(CONFIG).initialise()
    average = copy.deepcopy(module).eval().requires_grad_(False)
    return Learner(module, average, optimiser_of(module, recipe))


def stream(first: int = 0) -> Iterator[Batch]:
    field = CONFIG.receptive_field()
    source = PatchSource([sample_of(discs())], RECIPE, TargetRule("cells"), (1, 1, 1), field)
    return batches(source, Share(RECIPE.batch), first=first, loaders=0)


def test_the_loss_falls() -> None:
    recipe = Recipe(**{**RECIPE.to_dict(), "steps": 30, "augmentation": RECIPE.augmentation})
    batch = next(stream())
    trainer = Trainer(learner_of(), itertools.repeat(batch), recipe, CPU, begun=TrainingState())
    losses = []
    while not trainer.done:
        losses.append(trainer.step().loss)
    assert len(losses) == 30
    assert losses[-1] < losses[0] / 2


def test_a_run_that_goes_on_computes_what_the_whole_run_does() -> None:
    whole, parts = learner_of(), learner_of()
    trainer = Trainer(whole, stream(), RECIPE, CPU, begun=TrainingState())
    while not trainer.done:
        trainer.step()
    first = Trainer(parts, stream(), RECIPE, CPU, begun=TrainingState())
    for _ in range(5):
        first.step()
    second = Trainer(parts, stream(5), RECIPE, CPU, begun=first.state)
    while not second.done:
        second.step()
    for a, b in zip(whole.module.state_dict().values(), parts.module.state_dict().values()):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    for a, b in zip(whole.average.state_dict().values(), parts.average.state_dict().values()):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_a_loss_that_is_no_number_stops_the_run() -> None:
    batch = next(stream())
    broken = Batch(batch.images, batch.classes, batch.weights * float("nan"))
    source = iter([batch, broken])
    trainer = Trainer(learner_of(), source, RECIPE, CPU, begun=TrainingState())
    trainer.step()
    with pytest.raises(TrainingError, match="loss became nan at step 1 with learning rate"):
        trainer.step()


def test_the_clock_ends_a_run_of_minutes() -> None:
    recipe = Recipe(minutes=1.0, patch=16, batch=2, optimiser="adamw")
    seconds = itertools.count(step=6.0)
    trainer = Trainer(
        learner_of(recipe),
        stream(),
        recipe,
        CPU,
        begun=TrainingState(),
        clock=lambda: next(seconds),
    )
    steps = 0
    while not trainer.done:
        trainer.step()
        steps += 1
    # A step asks the clock three times: 12 s each.
    assert steps == 5
    assert trainer.state.waited_seconds == 30.0


@torch.no_grad()
def test_the_average_follows_and_forgets_where_it_began() -> None:
    module, average = UNet(CONFIG), UNet(CONFIG)
    for step in range(1, 400):
        follow(average, module, decay=0.95, step=step)
    for a, b in zip(average.state_dict().values(), module.state_dict().values()):
        torch.testing.assert_close(a, b)


def test_frozen_statistics_are_the_averaged_ones_and_stay() -> None:
    recipe = replace(RECIPE, freeze_statistics=0.5)
    learner = learner_of(recipe)
    trainer = Trainer(learner, stream(), recipe, CPU, begun=TrainingState())
    for _ in range(6):
        trainer.step()
    averaged = {k: v.clone() for k, v in statistics_of(learner.average).items()}
    moving = statistics_of(learner.module)
    assert any(not torch.equal(moving[k], v) for k, v in averaged.items())
    while not trainer.done:
        trainer.step()
    assert trainer.state.step == 12
    for module in (learner.module, learner.average):
        for name, statistic in statistics_of(module).items():
            torch.testing.assert_close(statistic, averaged[name], rtol=0, atol=0)


def statistics_of(module: UNet) -> dict[str, torch.Tensor]:
    return {name: value for name, value in module.named_buffers() if "running" in name}
