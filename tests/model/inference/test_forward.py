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
from bigunet.model.digest import module_digest
from bigunet.model.inference.folding import fold_batch_norm
from bigunet.model.inference.forward import GreyRange, Predictor
from bigunet.model.inference.score_maps import labels_of, probabilities_of, score_margin
from bigunet.model.model import Model
from bigunet.model.networks.unet import UNet, UNetConfig
from bigunet.receptive import ReceptiveField

GREY = GreyRange((0.0,), (100.0,))
WHOLE = (slice(None), slice(None))


def network(**numbers: Any) -> Model:
    """A random network with batch normalisations that change values a lot."""
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
            classes=default_classes(max(config.classes, 2)),
            channels=tuple(map(str, range(config.in_channels))),
        ),
        digest="",
        receptive_field=config.receptive_field(),
    )


def digest(module: nn.Module, *, halo: int = 1) -> str:
    field = ReceptiveField((2, 2), (0, 0), (halo, halo), (0, 0))
    if isinstance(module, UNet):
        field = module.config.receptive_field()
    return module_digest(module, field, in_channels=1)


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


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_count_as_black(
    model: Model, tile: np.ndarray, value: float
) -> None:
    predictor = Predictor(model, GreyRange((7.0,), (90.0,)))
    image, black = tile.astype(float), tile.astype(float)
    image[0, 10:14, 20], black[0, 10:14, 20] = value, 7.0
    assert torch.equal(predictor.scores(image), predictor.scores(black))


def test_a_number_beyond_float32_is_refused_and_not_black(model: Model, tile: np.ndarray) -> None:
    image = tile.astype(float)
    image[0, 10:14, 20] = 1e300
    with pytest.raises(ModelError, match=r"not finite in fp32: .* far beyond the grey range"):
        Predictor(model, GreyRange((7.0,), (90.0,))).scores(image)


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
    prediction = predictor.predict(tile, inner, probabilities=True)
    assert prediction.labels.shape == (8, 7)
    assert prediction.labels.dtype == np.uint8
    assert prediction.probabilities is not None
    assert prediction.probabilities.dtype == np.uint8
    assert prediction.probabilities.shape == (max(classes, 2), 8, 7)
    assert np.abs(prediction.probabilities.sum(axis=0, dtype=int) - 255).max() <= classes
    best = np.take_along_axis(prediction.probabilities, prediction.labels[None].astype(int), axis=0)
    assert (best[0] == prediction.probabilities.max(axis=0)).all()
    without = predictor.predict(tile, inner)
    assert without.probabilities is None
    assert (without.labels == prediction.labels).all()


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
    exact, lower = full.scores(tile), low.scores(tile)
    assert lower.dtype == torch.float32
    assert float((lower - exact).abs().max()) < tolerance * float(exact.abs().max())
    assert not torch.equal(lower, exact)


def test_an_unknown_precision_is_refused(model: Model) -> None:
    with pytest.raises(OptionError, match="precision 'int4'; known: fp32, bf16, fp16"):
        Predictor(model, GREY, precision="int4")  # type: ignore[arg-type]


def test_a_predictor_leaves_the_model_as_it_was(tile: np.ndarray) -> None:
    model = network()
    before = digest(model.module)
    Predictor(model, GREY, precision="bf16").predict(tile, WHOLE)
    assert digest(model.module) == before


def test_a_module_with_one_score_is_a_model_of_two_classes() -> None:
    model = Model.of_module(nn.Conv2d(1, 1, 3, padding=1), ndim=2)
    assert [c.name for c in model.description.classes] == ["background", "class 1"]
    assert model.zero_padded
    named = Model.of_module(nn.Conv2d(2, 3, 3), ndim=2, channels="ab", classes="xyz", name="n")
    assert [c.name for c in named.description.classes] == ["x", "y", "z"]
    assert (named.in_channels, named.zero_padded) == (2, False)
    with pytest.raises(ModelError, match="3 class names for 2 classes"):
        Model.of_module(nn.Conv2d(1, 1, 3), ndim=2, classes=("a", "b", "c"))


def test_a_digest_distinguishes_weights_and_structure() -> None:
    torch.manual_seed(0)
    one = nn.Sequential(nn.Conv2d(1, 1, 3))
    other = copy.deepcopy(one)
    assert digest(one) == digest(other)
    with torch.no_grad():
        other[0].weight[0, 0, 0, 0] += 1e-3
    assert digest(one) != digest(other)
    assert digest(one) != digest(nn.Sequential(one[0], nn.ReLU()))


class Scaled(nn.Module):
    """A module with a number that shows neither in its weights nor in its representation."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat((x * self.factor, x), dim=1)


def test_a_digest_distinguishes_plain_attributes_and_receptive_fields() -> None:
    assert digest(Scaled(2.0)) == digest(Scaled(2.0))
    assert digest(Scaled(2.0)) != digest(Scaled(2.001))
    assert digest(Scaled(2.0)) != digest(Scaled(2.0), halo=7)


def test_a_digest_does_not_depend_on_the_number_of_threads() -> None:
    module, threads = network(width=8).module, torch.get_num_threads()
    digests = set()
    for number in (1, 2):
        torch.set_num_threads(number)
        digests.add(digest(module))
    torch.set_num_threads(threads)
    assert len(digests) == 1


def test_the_module_of_the_caller_stays_in_training() -> None:
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Dropout())
    model = Model.of_module(module.train(), ndim=2)
    assert module.training
    assert module[1].training
    assert not any(layer.training for layer in model.module.modules())


def normalising(channels: int, kind: type[nn.BatchNorm2d] = nn.BatchNorm2d) -> nn.BatchNorm2d:
    norm = kind(channels)
    for values in (norm.running_mean, norm.running_var, norm.weight, norm.bias):
        values.detach().uniform_(0.3, 2)
    return norm


class StandardisedConv(nn.Conv2d):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self._conv_forward(x, self.weight / self.weight.std(), self.bias)


class NormThenRelu(nn.BatchNorm2d):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x).relu()


class Residual(nn.Sequential):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self[0](x)
        return x + self[1](x)


def hooked(layer: nn.Module) -> nn.Module:
    layer.register_forward_hook(lambda _layer, _given, scores: scores.relu())
    return layer


def prepared(layer: nn.Module) -> nn.Module:
    layer.register_forward_pre_hook(lambda _layer, given: (given[0] * 2,))
    return layer


def conv() -> nn.Conv2d:
    return nn.Conv2d(1, 3, 3)


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Sequential(StandardisedConv(1, 3, 3), normalising(3)),
        lambda: nn.Sequential(conv(), normalising(3, NormThenRelu)),
        lambda: Residual(conv(), normalising(3)),
        lambda: nn.Sequential(hooked(conv()), normalising(3)),
        lambda: nn.Sequential(conv(), hooked(normalising(3))),
        lambda: nn.Sequential(conv(), prepared(normalising(3))),
        lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(conv()), normalising(3)),
        lambda: nn.Sequential(conv(), nn.BatchNorm2d(3, track_running_stats=False)),
    ],
    ids=["conv", "norm", "parent", "conv hook", "norm hook", "pre-hook", "parametrized", "own"],
)
def test_layers_that_do_more_than_those_of_torch_are_not_folded(make) -> None:
    torch.manual_seed(0)
    module, image = make().eval(), torch.rand(1, 1, 12, 12)
    with torch.inference_mode():
        assert torch.equal(fold_batch_norm(module)(image), module(image))


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_a_module_that_cannot_be_copied_is_refused_with_a_remedy() -> None:
    module = nn.Sequential(nn.utils.weight_norm(conv()))
    with pytest.raises(ModelError, match=r"cannot be copied .*parametrizations\.weight_norm"):
        Model.of_module(module, ndim=2)


@pytest.mark.parametrize(
    ("dtype", "low", "step"),
    [("u4", 4e9, 1), ("i4", 2e9, 1), ("u8", 2.0**52, 1), ("i8", -(2.0**52), 1), ("f8", 0, 1e40)],
)
def test_wide_dtypes_are_normalised_before_they_are_rounded(
    model: Model, tile: np.ndarray, dtype: str, low: float, step: float
) -> None:
    far = (tile.astype(np.int64) + int(low)).astype(dtype) if step == 1 else tile * step
    shifted = Predictor(model, GreyRange((low,), (low + 100 * step,))).scores(far)
    assert torch.allclose(shifted, Predictor(model, GREY).scores(tile), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", ["bool", "u1", "u2", "i1", "i2", "f2", "f4"])
def test_narrow_dtypes_are_normalised_in_float32(model: Model, dtype: str) -> None:
    tile = np.random.default_rng(0).integers(0, 2, (1, 36, 36)).astype(dtype)
    if dtype != "bool":
        tile = (tile * 73).astype(dtype)
    low, high = torch.tensor(0.1), torch.tensor(60.7 - 0.1)
    predictor = Predictor(model, GreyRange((0.1,), (60.7,)))
    expected = (torch.from_numpy(tile.astype("f4")) - low) / high
    assert torch.equal(
        predictor.scores(tile), Predictor(model, GreyRange((0,), (1,))).scores(expected.numpy())
    )


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_scores_that_are_not_finite_are_an_error(
    tile: np.ndarray, precision: Literal["fp32", "bf16", "fp16"]
) -> None:
    model = network()
    with torch.no_grad():
        model.module.head.weight[0].fill_(torch.nan)
    with pytest.raises(ModelError, match=f"not finite in {precision}"):
        Predictor(model, GREY, precision=precision).predict(tile, WHOLE)


def test_an_overflow_of_half_precision_is_an_error_that_advises_fp32(tile: np.ndarray) -> None:
    model = network(batch_norm=False)
    with torch.no_grad():
        model.module.head.weight.mul_(1e6)
    assert Predictor(model, GREY).scores(tile).isfinite().all()
    with pytest.raises(ModelError, match="not finite in fp16: an overflow; run it in fp32"):
        Predictor(model, GREY, precision="fp16").predict(tile, WHOLE)
