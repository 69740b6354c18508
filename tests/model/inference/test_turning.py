"""Laws of the average over rotations and mirrors: tiled equals whole, and turns change nothing."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.turned_pass import EIGHT, FOUR, turn, turned_probabilities
from support.whole_pass import mirrored
from torch import nn

from bigunet.blocks import BlockGrid
from bigunet.errors import ModelError
from bigunet.geometry import Box
from bigunet.model.description import ModelDescription, default_classes
from bigunet.model.inference.flops import flop_counter
from bigunet.model.inference.forward import Predictor
from bigunet.model.inference.inputs import GreyRange
from bigunet.model.inference.score_maps import labels_of, probabilities_of
from bigunet.model.inference.turning import (
    MIRRORS,
    TURNS,
    Turn,
    Turning,
    num_turns,
    turned,
    turned_field,
)
from bigunet.model.model import Model
from bigunet.model.networks.unet import UNet, UNetConfig
from bigunet.model.normalisation import Normalisation
from bigunet.receptive import ReceptiveField
from bigunet.tiling import Tiling

LAW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
GREY = GreyRange((0.0,), (255.0,))


def described(module: nn.Module, field: ReceptiveField, classes: int = 2) -> Model:
    description = ModelDescription(
        name="random",
        architecture={"name": "module"},
        classes=default_classes(classes),
        channels=("0",),
        normalisation=Normalisation("fixed", 0, 255),
    )
    return Model(module.eval(), description, digest="", receptive_field=field)


def unet(seed: int = 0, **numbers: int) -> Model:
    config = UNetConfig(**{"width": 3, "depth": 2, **numbers})
    torch.manual_seed(seed)
    return described(UNet(config).initialise(), config.receptive_field(), config.classes)


class Padded(nn.Module):
    """A zero-padded network with one pooling and one score."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.up, self.head = nn.ConvTranspose2d(4, 4, 2, stride=2), nn.Conv2d(8, 1, 3, padding=1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = self.first(image).relu()
        below = self.second(nn.functional.max_pool2d(x, 2)).relu()
        return self.head(torch.cat((x, self.up(below)), dim=1))


def padded(seed: int = 0) -> Model:
    torch.manual_seed(seed)
    return described(Padded(), ReceptiveField((2, 2), (0, 0), (6, 6), (0, 0)))


def noise(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (1, *shape)).astype(np.uint8)


def tiled(model: Model, image: np.ndarray, block, tile, *, of=probabilities_of) -> torch.Tensor:
    """Probabilities assembled from blocks and tiles; each tile reads its own mirrored part."""
    volume = Box.of_shape(image.shape[1:])
    tiling = Tiling(model.receptive_field, tile)
    predictor = Predictor(model, GREY)
    shape = (len(model.description.classes), *volume.shape)
    scores_of_all = torch.full(shape, torch.nan, dtype=torch.float64)
    grid = BlockGrid(volume, block)
    for index in grid.traversal():
        write = grid.box(index)
        read = tiling.read_box(write)
        before = tuple(max(0, -a) for a in read.start)
        after = tuple(max(0, b - n) for b, n in zip(read.stop, volume.shape))
        around = Box(tuple(-a for a in before), tuple(n + b for n, b in zip(volume.shape, after)))
        pixels = mirrored(image, before, after)[(slice(None), *read.within(around))]
        for one in tiling.tiles(write):
            scores = predictor.scores(pixels[(slice(None), *one.input.within(read))])
            kept = scores[(slice(None), *one.output.within(one.scores))]
            scores_of_all[(slice(None), *one.output.within(volume))] = of(kept)
    return scores_of_all


def difference(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).abs().max())


extents = st.one_of(st.integers(1, 20), st.integers(1, 120))


@LAW
@given(
    seed=st.integers(0, 99),
    depth=st.integers(1, 3),
    classes=st.integers(2, 3),
    shape=st.tuples(extents, extents),
    block=st.tuples(st.integers(20, 90), st.integers(20, 90)),
    tile=st.tuples(st.integers(8, 70), st.integers(8, 70)),
)
def test_tiles_give_the_mean_of_turned_whole_passes_in_2d(
    seed, depth, classes, shape, block, tile
) -> None:
    model, image = unet(seed, depth=depth, classes=classes), noise(shape, seed)
    whole = turned_probabilities(model, image, 0, 255)
    assert difference(tiled(turned(model), image, block, tile), whole) < 2e-5


@LAW
@given(
    seed=st.integers(0, 99),
    shape=st.tuples(extents, extents),
    block=st.tuples(st.integers(9, 60), st.integers(9, 60)),
    tile=st.tuples(st.integers(2, 50), st.integers(2, 50)),
    square=st.booleans(),
)
def test_so_do_tiles_of_a_zero_padded_network_of_one_score(
    seed, shape, block, tile, square
) -> None:
    model, image = padded(seed), noise(shape, seed)
    whole = turned_probabilities(model, image, 0, 255, turns=EIGHT if square else FOUR)
    assert difference(tiled(turned(model, square=square), image, block, tile), whole) < 2e-5


@settings(LAW, max_examples=5)
@given(
    seed=st.integers(0, 99),
    shape=st.tuples(st.integers(1, 9), st.integers(1, 24), st.integers(1, 24)),
    block=st.tuples(st.integers(4, 9), st.integers(8, 30), st.integers(8, 30)),
)
def test_tiles_give_the_mean_of_turned_whole_passes_in_3d(seed, shape, block) -> None:
    model, image = unet(seed, ndim=3, width=2, depth=1), noise(shape, seed)
    whole = turned_probabilities(model, image, 0, 255)
    assert difference(tiled(turned(model), image, block, (8, 16, 16)), whole) < 2e-5


@settings(LAW, max_examples=10)
@given(
    seed=st.integers(0, 99),
    depth=st.integers(1, 3),
    strides=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    how=st.sampled_from(EIGHT),
)
def test_a_turned_image_gives_the_turned_result(seed, depth, strides, how) -> None:
    """The sides are whole numbers of strides, so that a turn about the middle keeps the grid."""
    model = turned(unet(seed, depth=depth))
    image = noise(tuple(2**depth * n for n in strides), seed)
    plain = tiled(model, image, (40, 40), (32, 32)).numpy()
    result = tiled(model, np.ascontiguousarray(turn(image, how)), (40, 40), (32, 32)).numpy()
    assert np.abs(result - turn(plain, how)).max() < 2e-5


@pytest.mark.parametrize("depth", [3, 4])  # tiles of shallower networks have no rest
def test_mirroring_tiles_as_they_are_would_break_the_law(depth) -> None:
    model, image = unet(depth=depth), noise((90, 70))
    whole = turned_probabilities(model, image, 0, 255)
    naive = turned(model)
    naive.module.rest = (0, 0)
    naive = dataclasses.replace(naive, receptive_field=model.receptive_field)
    assert difference(tiled(turned(model), image, (48, 48), (32, 32)), whole) < 2e-5
    assert difference(tiled(naive, image, (48, 48), (32, 32)), whole) > 1e-3


def test_the_eight_turns_are_numpys_rotations_and_mirrors() -> None:
    image = np.arange(12).reshape(1, 3, 4)
    ours = {tuple(t.of(torch.from_numpy(image)).flatten().tolist()) for t in TURNS}
    assert ours == {tuple(turn(image, how).flatten().tolist()) for how in EIGHT}
    mirrors = {tuple(t.of(torch.from_numpy(image)).flatten().tolist()) for t in MIRRORS}
    assert mirrors == {tuple(turn(image, how).flatten().tolist()) for how in FOUR}


@pytest.mark.parametrize("one", TURNS)
def test_a_turn_undone_is_no_turn(one: Turn) -> None:
    image = torch.arange(24).reshape(2, 3, 4)
    assert (one.undone(one.of(image)) == image).all()


@given(
    stride=st.integers(1, 32),
    border=st.integers(0, 100),
    more=st.integers(0, 40),
    remainder=st.integers(0, 31),
    steps=st.integers(1, 9),
)
def test_tiles_lie_the_same_from_both_ends(stride, border, more, remainder, steps) -> None:
    values = (stride, border, border + more, remainder % stride)
    field = ReceptiveField(*((v, v) for v in values))
    both = turned_field(field)
    kept = (steps * stride,) * 2
    tile = both.input_shape(kept)
    # Without rest: an output of whole strides, and its halos.
    assert tile == tuple(n + 2 * h for n, h in zip(kept, both.halo))
    assert Turning(nn.Identity(), field).input_shape(tile) == field.input_shape(kept)


def test_the_average_of_the_first_turn_alone_is_the_softmax() -> None:
    model = unet(classes=3)
    once = Turning(model.module, model.receptive_field, TURNS[:1]).eval()
    image = torch.rand(1, 1, *turned_field(model.receptive_field).input_shape((32, 32)))
    rest = once.rest[0]
    with torch.inference_mode():
        expected = model.module(image[..., rest:, rest:]).softmax(dim=1)
        scores = once(image)
    kept = expected[..., : scores.shape[-2], : scores.shape[-1]]
    assert difference(scores.softmax(dim=1), kept) < 1e-6


def test_a_prediction_is_the_mean_of_probabilities_and_its_best_class() -> None:
    model, image = padded(), noise((20, 14))
    predictor = Predictor(turned(model), GREY)
    tile = mirrored(image, (6, 6), (6, 6))
    prediction = predictor.predict(tile, (slice(6, 26), slice(6, 20)), probabilities=True)
    mean = turned_probabilities(model, image, 0, 255)
    assert prediction.probabilities is not None
    assert np.abs(prediction.probabilities - 255 * mean.numpy()).max() <= 0.5 + 1e-2
    assert (prediction.labels == labels_of(mean).numpy()).mean() > 0.99
    assert (prediction.probabilities.astype(int).sum(axis=0) - 255 <= 1).all()


class OverflowsAtOneSide(nn.Module):
    """A network with infinite scores of one class if the left rim of the tile is bright."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        scores = image.masked_fill(image[..., :1] > 0.5, self.value)
        return torch.cat((scores, -image), dim=1)


@pytest.mark.parametrize("value", [torch.inf, -torch.inf, torch.nan])
def test_a_turn_that_overflows_does_not_hide_behind_the_others(value) -> None:
    module = OverflowsAtOneSide(value)
    model = described(module, ReceptiveField((1, 1), (0, 0), (0, 0), (0, 0)))
    image = np.zeros((1, 6, 6), np.uint8)
    assert torch.isfinite(Predictor(turned(model), GREY).scores(image)).all()
    image[0, 3, 5] = 255
    Predictor(model, GREY).scores(image)
    with pytest.raises(ModelError, match="not finite"):
        Predictor(turned(model), GREY).scores(image)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_scores_are_fp32_with_a_mean_of_0_whatever_the_precision(precision) -> None:
    predictor = Predictor(turned(unet(classes=3)), GREY, precision=precision)
    shape = turned_field(unet().receptive_field).input_shape((32, 32))
    scores = predictor.scores(noise(shape))
    assert scores.dtype == torch.float32
    assert float(scores.mean(dim=0).abs().max()) < 1e-6


@pytest.mark.parametrize("contrast", [1e-4, 1.0, 100.0])
def test_averaging_adds_no_visible_rounding(contrast) -> None:
    """For scores that differ by little (uncertain networks) and by much (certain networks)."""
    model, image = unet(classes=3), noise((40, 40))
    model.module.head.weight.data *= contrast
    exact = turned_probabilities(model, image, 0, 255).log()
    exact -= exact.mean(dim=0)
    result = tiled(turned(model), image, (40, 40), (32, 32), of=torch.Tensor.double)
    assert difference(result, exact) < 2e-5 * float(exact.std())


def test_a_network_that_treats_y_and_x_differently_is_mirrored_only() -> None:
    field = ReceptiveField((2, 4), (0, 0), (4, 4), (0, 0))
    model = described(nn.Identity(), field)
    assert num_turns(turned(model).module) == num_turns(turned(unet(), square=False).module) == 4
    assert num_turns(turned(unet()).module) == 8
    assert num_turns(unet().module) == 1
    with pytest.raises(ModelError, match="mirror it only"):
        Turning(nn.Identity(), field)
    with pytest.raises(ModelError, match="no turns"):
        Turning(nn.Identity(), field, ())


@pytest.mark.parametrize("square", [True, False])
def test_the_operations_of_all_turns_are_counted(square) -> None:
    model = turned(unet(), square=square)
    shape = model.receptive_field.input_shape((32, 20))
    counted = flop_counter(nn.Sequential(model.module), in_channels=1)(shape)
    assert flop_counter(model.module, in_channels=1)(shape) == counted
    assert counted is not None


def test_the_model_that_is_turned_stays_as_it_was() -> None:
    model = unet()
    averaged = turned(model)
    assert averaged.module is not model.module
    assert (averaged.description, averaged.digest) == (model.description, model.digest)
    assert model.receptive_field == UNetConfig(width=3, depth=2).receptive_field()
    assert not averaged.module.training
