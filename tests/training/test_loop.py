"""Laws of the training loop, on networks so small that each run takes a second."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bigunet.errors import TrainingError
from bigunet.model.forward import GreyRange, Predictor
from bigunet.model.model import Model
from bigunet.model.unet import UNet, UNetConfig
from bigunet.training.augment import NO_AUGMENTATION
from bigunet.training.loop import TrainingConfig, TrainingReport, draw_batch, schedule, train
from bigunet.training.patches import Sample

NETWORK = UNetConfig(ndim=2, classes=3, width=4, depth=1, batch_norm=True, dropout=0.1)
SHORT = TrainingConfig(steps=4, batch=2, patch=16, report_every=2)


def discs(seed: int = 0) -> Sample:
    """Bright discs, some touching, on a noisy background."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:64, :64]
    instances = np.zeros((64, 64), np.int32)
    for number, (cy, cx) in enumerate(rng.integers(6, 58, (14, 2)), start=1):
        instances[(y - cy) ** 2 + (x - cx) ** 2 < 36] = number
    image = (instances > 0) + rng.normal(0, 0.05, instances.shape)
    return Sample(image[None].astype(np.float32), instances)


def network(seed: int = 0) -> UNet:
    torch.manual_seed(seed)
    return UNet(NETWORK).initialise()


def weights(module: UNet) -> torch.Tensor:
    return torch.cat([p.detach().ravel() for p in module.parameters()])


def last(module: UNet, config: TrainingConfig) -> TrainingReport:
    *_, report = train(module, [discs()], config)
    return report


def test_training_fits_one_small_image() -> None:
    config = TrainingConfig(
        steps=150,
        batch=2,
        patch=32,
        learning_rate=1e-2,
        report_every=10,
        augmentation=NO_AUGMENTATION,
    )
    losses = [report.loss for report in train(network(), [discs()], config)]
    assert losses[-1] < losses[0] / 2


def test_the_same_seed_gives_the_same_weights() -> None:
    first, second = (weights(last(network(), SHORT).module) for _ in range(2))
    assert torch.equal(first, second)


def test_another_seed_gives_other_weights() -> None:
    first = last(network(), SHORT)
    second = last(network(), replace(SHORT, seed=1))
    assert not torch.equal(weights(first.module), weights(second.module))


def test_a_loss_that_is_not_finite_stops_training() -> None:
    sample = discs()
    sample.image[:] = np.nan
    with pytest.raises(TrainingError, match=r"nan at step 0 .* lower the learning rate"):
        list(train(network(), [sample], SHORT))


def test_reports_come_at_their_steps_and_at_the_end() -> None:
    config = replace(SHORT, steps=5)
    reports = list(train(network(), [discs()], config))
    assert [report.step for report in reports] == [2, 4, 5]
    assert reports[-1].progress == 1


def test_training_ends_when_its_progress_does() -> None:
    reports = list(train(network(), [discs()], SHORT, progress=lambda step: step / 3))
    assert [report.step for report in reports] == [2, 3]


def test_a_reported_network_does_not_change_afterwards() -> None:
    kept: list[tuple[UNet, torch.Tensor]] = []
    for report in train(network(), [discs()], SHORT):
        kept.append((report.module, weights(report.module)))
    assert all(torch.equal(weights(module), then) for module, then in kept)
    assert not torch.equal(kept[0][1], kept[1][1])


def test_without_averaging_the_report_holds_the_trained_weights() -> None:
    module = network()
    report = last(module, replace(SHORT, averaging=0.0))
    for reported, trained in zip(report.module.state_dict().values(), module.state_dict().values()):
        assert torch.equal(reported, trained)
    assert not report.module.training


def test_bf16_trains_too() -> None:
    report = last(network(), replace(SHORT, bf16=True))
    assert np.isfinite(report.loss)
    assert weights(report.module).dtype == torch.float32


def test_the_truth_of_a_batch_lies_where_its_scores_do() -> None:
    rng = np.random.default_rng(0)
    config = replace(SHORT, augmentation=NO_AUGMENTATION)
    images, classes, weights = draw_batch(network(), [discs()], config, rng)
    scores = network()(images)
    assert scores.shape[2:] == classes.shape[1:] == weights.shape[1:]
    border = NETWORK.receptive_field().border[0]
    inner = images[:, 0, border:-border, border:-border]
    assert inner[classes == 1].min() > 0.5 > inner[classes == 0].max()


def test_scores_while_training_are_those_of_the_predictor() -> None:
    module = last(network(), SHORT).module
    images, _, _ = draw_batch(module, [discs()], SHORT, np.random.default_rng(0))
    with torch.no_grad():
        expected = module(images[:1])[0]
    model = Model.of_module(module, ndim=2, classes=("background", "nucleus", "border"))
    scores = Predictor(model, GreyRange((0.0,), (1.0,))).scores(images[0].numpy())
    torch.testing.assert_close(scores, expected, rtol=1e-4, atol=1e-5)


def test_the_learning_rate_rises_and_then_falls() -> None:
    factors = [schedule(share / 100) for share in range(101)]
    top = factors.index(max(factors))
    assert top == 10
    assert factors[:top] == sorted(factors[:top])
    assert factors[top:] == sorted(factors[top:], reverse=True)
    assert 0 < min(factors) < max(factors) == 1


def test_training_without_images_is_refused() -> None:
    with pytest.raises(TrainingError, match="no image to train on"):
        next(train(network(), [], SHORT))


def test_an_image_with_other_channels_is_refused() -> None:
    sample = Sample(np.zeros((2, 8, 8), np.float32), np.zeros((8, 8), int))
    with pytest.raises(TrainingError, match="image 1 has 2 channels, the network 1"):
        next(train(network(), [discs(), sample], SHORT))


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"steps": 0}, "steps is 0"),
        ({"batch": -1}, "batch is -1"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0"),
        ({"averaging": 1.0}, "averaging is 1.0"),
    ],
)
def test_impossible_numbers_are_refused(numbers: dict, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        TrainingConfig(**numbers)
