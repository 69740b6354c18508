"""The law that bigunet stands on: tiled equals whole, here in memory."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.whole_pass import mirrored, whole_scores
from torch import nn

from bigunet import Model, ModelDescription, UNetConfig
from bigunet.blocks import BlockGrid
from bigunet.geometry import Box
from bigunet.model.description import default_classes
from bigunet.model.inference.forward import Predictor
from bigunet.model.inference.inputs import GreyRange
from bigunet.model.networks.architectures import architecture_names, build, config_class
from bigunet.model.networks.fcn import FCNConfig
from bigunet.model.networks.network import NetworkConfig
from bigunet.model.networks.sliding_window import SlidingWindowConfig
from bigunet.model.normalisation import Normalisation
from bigunet.tiling import Tile, Tiling

LAW = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
GREY = GreyRange((0.0,), (255.0,))


def network(config: NetworkConfig, seed: int = 0) -> Model:
    torch.manual_seed(seed)
    name = next(n for n in architecture_names() if config_class(n) is type(config))
    architecture = {"name": name, "config": config.to_dict()}
    module = build(architecture).initialise().eval()
    for parameter in module.parameters():
        # A weight of 0 would hide its input.
        if not parameter.detach().any():
            nn.init.normal_(parameter)
    description = ModelDescription(
        name="random",
        architecture=architecture,
        classes=default_classes(config.classes),
        channels=tuple(map(str, range(config.in_channels))),
        normalisation=Normalisation("fixed", 0, 255),
    )
    return Model(module, description, digest="", receptive_field=config.receptive_field())


def noise(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (1, *shape)).astype(np.uint8)


def tiled_scores(model: Model, image: np.ndarray, block: tuple[int, ...], tiling: Tiling):
    """Scores of a volume, computed block by block and tile by tile, from mirrored inputs."""
    volume = Box.of_shape(image.shape[1:])
    predictor = Predictor(model, GREY)
    scores = None
    for index in BlockGrid(volume, block).traversal():
        write = BlockGrid(volume, block).box(index)
        read = tiling.read_box(write)
        before = tuple(max(0, -a) for a in read.start)
        after = tuple(max(0, b - n) for b, n in zip(read.stop, volume.shape))
        around = Box(tuple(-a for a in before), tuple(n + b for n, b in zip(volume.shape, after)))
        pixels = mirrored(image, before, after)[(slice(None), *read.within(around))]
        for tile in tiling.tiles(write):
            of_tile = predictor.scores(pixels[(slice(None), *tile.input.within(read))])
            if scores is None:
                scores = torch.full((of_tile.shape[0], *volume.shape), torch.nan)
            kept = of_tile[(slice(None), *tile.output.within(tile.scores))]
            scores[(slice(None), *tile.output.within(volume))] = kept
    return scores


def assert_tiled_equals_whole(
    model: Model, image: np.ndarray, block: tuple[int, ...], tiling: Tiling
) -> None:
    whole = whole_scores(model, image, 0, 255)
    tiled = tiled_scores(model, image, block, tiling)
    assert not torch.isnan(tiled).any(), "voxels left out"
    # One voxel has no deviation. Scores of the network are about 1 then.
    spread = float(whole.std()) if whole.numel() > 1 else 1.0
    difference = float((tiled - whole).abs().max()) / max(spread, 1e-3)
    assert difference <= 1e-4, f"tiled and whole are {difference} deviations apart"


configs_2d = st.builds(
    UNetConfig,
    ndim=st.just(2),
    classes=st.integers(2, 3),
    width=st.sampled_from([1, 2, 3, 5]),
    depth=st.integers(1, 4),
    batch_norm=st.booleans(),
)
extents = st.one_of(st.integers(1, 40), st.integers(1, 700))


@LAW
@given(
    config=configs_2d,
    shape=st.tuples(extents, extents),
    block=st.tuples(st.integers(40, 800), st.integers(40, 800)),
    tile=st.tuples(st.integers(64, 400), st.integers(64, 400)),
    seed=st.integers(0, 99),
)
def test_tiled_equals_whole_in_2d(config, shape, block, tile, seed) -> None:
    model = network(config, seed)
    tiling = Tiling(model.receptive_field, tile)
    assert_tiled_equals_whole(model, noise(shape, seed), block, tiling)


@settings(LAW, max_examples=10)
@given(
    depth=st.integers(1, 2),
    shape=st.tuples(st.integers(1, 24), st.integers(1, 40), st.integers(1, 40)),
    block=st.tuples(st.integers(5, 30), st.integers(9, 50), st.integers(9, 50)),
    tile=st.tuples(st.integers(8, 24), st.integers(8, 40), st.integers(8, 40)),
    seed=st.integers(0, 99),
)
def test_tiled_equals_whole_in_3d(depth, shape, block, tile, seed) -> None:
    model = network(UNetConfig(ndim=3, width=2, depth=depth, batch_norm=True), seed)
    tiling = Tiling(model.receptive_field, tile)
    assert_tiled_equals_whole(model, noise(shape, seed), block, tiling)


compared_in_2d = st.one_of(
    st.builds(
        FCNConfig,
        classes=st.integers(2, 3),
        width=st.sampled_from([1, 2, 3]),
        depth=st.integers(1, 4),
        skips=st.integers(0, 3),
        batch_norm=st.booleans(),
    ),
    st.builds(
        SlidingWindowConfig,
        classes=st.integers(2, 3),
        width=st.sampled_from([1, 2, 3]),
        depth=st.integers(1, 4),
        hidden=st.sampled_from([1, 3, 8]),
    ),
)


@settings(LAW, max_examples=20)
@given(
    config=compared_in_2d,
    shape=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    block=st.tuples(st.integers(40, 400), st.integers(40, 400)),
    tile=st.tuples(st.integers(64, 300), st.integers(64, 300)),
    seed=st.integers(0, 99),
)
def test_tiled_equals_whole_with_the_networks_of_comparison(
    config, shape, block, tile, seed
) -> None:
    model = network(config, seed)
    tiling = Tiling(model.receptive_field, tile)
    assert_tiled_equals_whole(model, noise(shape, seed), block, tiling)


def test_tiled_equals_whole_with_a_fully_convolutional_network_in_3d() -> None:
    model = network(FCNConfig(ndim=3, width=2, depth=2, batch_norm=True))
    tiling = Tiling(model.receptive_field, (8, 16, 12))
    assert_tiled_equals_whole(model, noise((13, 30, 41), 0), (9, 16, 40), tiling)


class _Misaligned(Tiling):
    """Tiles that start 1 voxel off the stride; their outputs still partition the box."""

    def tiles(self, box: Box):
        for tile in Tiling.tiles(self, box):
            yield Tile(tile.input.shift((-1, -1)), tile.scores.shift((-1, -1)), tile.output)

    def read_box(self, box: Box) -> Box:
        return Tiling.read_box(self, box).grow((1, 1))


@pytest.mark.parametrize(
    "config",
    [
        *(UNetConfig(width=4, depth=depth) for depth in (1, 2, 3, 4)),
        FCNConfig(width=4, depth=3),
    ],
)
def test_a_misalignment_of_one_voxel_breaks_the_law(config) -> None:
    model = network(config)
    image, block = noise((150, 140), 0), (80, 80)
    # Tiles compute one stride more than they keep, so that shifted tiles still cover their outputs.
    field, step = model.receptive_field, model.receptive_field.stride[0]
    assert_tiled_equals_whole(model, image, block, Tiling(field, (64, 64)))
    shifted = _Misaligned(_with_slack(field, step), (64, 64))
    with pytest.raises(AssertionError, match="deviations apart"):
        assert_tiled_equals_whole(model, image, block, shifted)


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_a_sliding_window_has_no_alignment_to_miss(depth) -> None:
    model = network(SlidingWindowConfig(width=4, depth=depth, hidden=8))
    shifted = _Misaligned(_with_slack(model.receptive_field, 1), (64, 64))
    assert_tiled_equals_whole(model, noise((150, 140), 0), (80, 80), shifted)


def _with_slack(field, step: int):
    """The same network with one stride more of halo, which is still exact."""
    return dataclasses.replace(field, halo=tuple(h + step for h in field.halo))


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_more_halo_than_needed_changes_nothing(depth) -> None:
    model = network(UNetConfig(width=4, depth=depth))
    field = _with_slack(model.receptive_field, model.receptive_field.stride[0])
    assert_tiled_equals_whole(model, noise((150, 140), 0), (80, 80), Tiling(field, (64, 64)))
