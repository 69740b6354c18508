"""Laws of the forward pass on one tile."""

from __future__ import annotations

import copy
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bigunet.errors import ModelError, OptionError
from bigunet.model.description import ModelDescription, default_classes
from bigunet.model.forward import (
    GreyRange,
    Predictor,
    fold_batch_norm,
    labels_of,
    probabilities_of,
    score_margin,
)
from bigunet.model.model import Model, module_digest
from bigunet.model.unet import UNet, UNetConfig

GREY = GreyRange((0.0,), (100.0,))
WHOLE = (slice(None), slice(None))


def network(**numbers: Any) -> Model:
    """A random network whose batch normalisations are far from doing nothing."""
    config = UNetConfig(**{"width": 4, "depth": 1, "classes": 3, "batch_norm": True, **numbers})
    torch.manual_seed(0)
    module = UNet(config).initialise()
    for layer in module.modules():
        if isinstance(layer, (nn.BatchNorm2d, nn.BatchNorm3d)):
            for values in (layer.weight, layer.running_var):
                values.detach().uniform_(0.5, 2)
            for values in (layer.bias, layer.running_mean):
                values.detach().uniform_(-1, 1)
    return Model(
        module=module.eval(),
        description=ModelDescription(
            name="random",
            architecture={"name": "unet", "config": config.to_dict()},
            classes=default_classes(config.classes),
            channels=tuple(map(str, range(config.in_channels))),
        ),
        digest="",
        receptive_field=config.receptive_field(),
    )


@pytest.fixture(scope="module")
def model() -> Model:
    return network()


@pytest.fixture(scope="module")
def tile() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 100, (1, 36, 36)).astype(np.uint8)


@pytest.mark.parametrize("ndim", [2, 3])
def test_folding_batch_norm_leaves_the_scores(ndim: int) -> None:
    module = network(ndim=ndim).module
    before = copy.deepcopy(module.state_dict())
    image = torch.rand(1, 1, *(36,) * ndim)
    folded = fold_batch_norm(module)
    with torch.inference_mode():
        scores, again = module(image), folded(image)
    assert float((scores - again).abs().max()) < 1e-5 * float(scores.abs().max())
    assert not any(isinstance(m, (nn.BatchNorm2d, nn.BatchNorm3d)) for m in folded.modules())
    assert all(torch.equal(before[name], now) for name, now in module.state_dict().items())


def test_folding_takes_a_module_in_training_as_in_evaluation() -> None:
    module = network().module
    image = torch.rand(1, 1, 36, 36)
    with torch.inference_mode():
        expected = module(image)
        assert torch.allclose(fold_batch_norm(module.train())(image), expected, atol=1e-4)
    assert module.training


def test_scores_are_those_of_the_normalised_tile(model: Model, tile: np.ndarray) -> None:
    predictor = Predictor(model, GreyRange((10.0,), (60.0,)))
    with torch.inference_mode():
        expected = model.module((torch.from_numpy(tile)[None].float() - 10) / 50)[0]
    assert torch.allclose(predictor.scores(tile), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "dtype", ["bool", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8"]
)
def test_the_same_grey_values_give_the_same_scores_in_any_dtype(
    model: Model, tile: np.ndarray, dtype: str
) -> None:
    predictor = Predictor(model, GREY)
    grey = (tile > 50).astype(np.uint8) if dtype == "bool" else tile
    assert torch.equal(predictor.scores(grey.astype(dtype)), predictor.scores(grey))


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.uint32, np.int32])
def test_the_extremes_of_a_dtype_do_not_wrap(model: Model, dtype: type) -> None:
    ends = np.iinfo(dtype)
    tile = np.random.default_rng(1).choice([ends.min, ends.max], (1, 36, 36)).astype(dtype)
    ours = Predictor(model, GreyRange((float(ends.min),), (float(ends.max),))).scores(tile)
    one = Predictor(model, GreyRange((0.0,), (1.0,))).scores((tile == ends.max).astype(np.uint8))
    assert torch.allclose(ours, one, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_what_is_not_finite_counts_as_black(model: Model, tile: np.ndarray, value: float) -> None:
    predictor = Predictor(model, GreyRange((7.0,), (90.0,)))
    image, black = tile.astype(float), tile.astype(float)
    image[0, 10:14, 20], black[0, 10:14, 20] = value, 7.0
    assert torch.equal(predictor.scores(image), predictor.scores(black))


def test_a_flat_grey_range_gives_finite_scores(model: Model, tile: np.ndarray) -> None:
    assert Predictor(model, GreyRange((5.0,), (5.0,))).scores(tile).isfinite().all()


def test_tiles_may_be_strided_views(model: Model, tile: np.ndarray) -> None:
    predictor = Predictor(model, GREY)
    turned = tile[:, ::-1].transpose(0, 2, 1)
    assert torch.equal(predictor.scores(turned), predictor.scores(turned.copy()))


def test_each_channel_has_its_own_grey_range() -> None:
    model = network(in_channels=2)
    tile = np.random.default_rng(0).random((2, 36, 36))
    shifted = tile * np.array([10, 2]).reshape(2, 1, 1) + np.array([5, -3]).reshape(2, 1, 1)
    plain = Predictor(model, GreyRange((0.0, 0.0), (1.0, 1.0))).scores(tile)
    assert torch.allclose(
        Predictor(model, GreyRange((5.0, -3.0), (15.0, -1.0))).scores(shifted), plain, atol=1e-4
    )


@pytest.mark.parametrize("classes", [1, 2, 3])
def test_labels_are_the_most_probable_class(classes: int, tile: np.ndarray) -> None:
    predictor = Predictor(network(classes=classes), GREY)
    inner = (slice(1, 9), slice(0, 7))
    found = predictor.predict(tile, inner, probabilities=True)
    assert found.labels.shape == (8, 7)
    assert found.labels.dtype == np.uint8
    assert found.probabilities is not None
    assert found.probabilities.dtype == np.uint8
    assert found.probabilities.shape == (max(classes, 2), 8, 7)
    assert np.abs(found.probabilities.sum(axis=0, dtype=int) - 255).max() <= classes
    best = np.take_along_axis(found.probabilities, found.labels[None].astype(int), axis=0)
    assert (best[0] == found.probabilities.max(axis=0)).all()
    without = predictor.predict(tile, inner)
    assert without.probabilities is None
    assert (without.labels == found.labels).all()


SCORES = st.integers(1, 4).flatmap(
    lambda n: st.lists(st.lists(st.floats(-20, 20, width=32), min_size=n, max_size=n), min_size=1)
)


@settings(deadline=None)
@given(SCORES)
def test_labels_probabilities_and_margins_agree(voxels: list[list[float]]) -> None:
    scores = torch.tensor(voxels).T
    chances, labels, margin = probabilities_of(scores), labels_of(scores), score_margin(scores)
    assert torch.allclose(chances.sum(dim=0), torch.ones(len(voxels)))
    best = chances.gather(0, labels[None].long())[0]
    assert torch.equal(best, chances.max(dim=0).values)
    assert bool((margin >= 0).all())
    # A change of the scores by less than half the margin changes no label.
    nudged = scores - 0.49 * margin * torch.ones_like(scores).index_fill(
        0, torch.arange(0, scores.shape[0], 2), -1.0
    )
    firm = margin > 1e-4
    assert torch.equal(labels_of(nudged)[firm], labels[firm])


@pytest.mark.parametrize(("precision", "tolerance"), [("bf16", 0.03), ("fp16", 0.005)])
def test_lower_precision_is_close_to_fp32(
    model: Model, tile: np.ndarray, precision: Literal["bf16", "fp16"], tolerance: float
) -> None:
    full = Predictor(model, GREY)
    low = Predictor(model, GREY, precision=precision)
    exact, found = full.scores(tile), low.scores(tile)
    assert found.dtype == torch.float32
    assert float((found - exact).abs().max()) < tolerance * float(exact.abs().max())
    assert not torch.equal(found, exact)


def test_an_unknown_precision_is_refused(model: Model) -> None:
    with pytest.raises(OptionError, match="precision 'int4'; known: fp32, bf16, fp16"):
        Predictor(model, GREY, precision="int4")  # type: ignore[arg-type]


def test_a_predictor_leaves_the_model_as_it_was(tile: np.ndarray) -> None:
    model = network()
    before = module_digest(model.module)
    Predictor(model, GREY, precision="bf16").predict(tile, WHOLE)
    assert module_digest(model.module) == before


def test_a_module_with_one_score_is_a_model_of_two_classes() -> None:
    model = Model.of_module(nn.Conv2d(1, 1, 3, padding=1), ndim=2)
    assert [c.name for c in model.description.classes] == ["background", "class 1"]
    assert model.zero_padded
    named = Model.of_module(nn.Conv2d(2, 3, 3), ndim=2, channels="ab", classes="xyz", name="n")
    assert [c.name for c in named.description.classes] == ["x", "y", "z"]
    assert (named.in_channels, named.zero_padded) == (2, False)
    with pytest.raises(ModelError, match="3 class names for 2 classes"):
        Model.of_module(nn.Conv2d(1, 1, 3), ndim=2, classes=("a", "b", "c"))


def test_a_digest_tells_weights_and_structure_apart() -> None:
    torch.manual_seed(0)
    one = nn.Sequential(nn.Conv2d(1, 1, 3))
    other = copy.deepcopy(one)
    assert module_digest(one) == module_digest(other)
    with torch.no_grad():
        other[0].weight[0, 0, 0, 0] += 1e-3
    assert module_digest(one) != module_digest(other)
    assert module_digest(one) != module_digest(nn.Sequential(one[0], nn.ReLU()))
