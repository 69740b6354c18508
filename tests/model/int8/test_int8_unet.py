"""Laws of a U-Net in integers of 8 bits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from bigunet.errors import ModelError
from bigunet.geometry import Box
from bigunet.model.inference.openvino_module import OpenVinoModule
from bigunet.model.int8.int8_unet import Int8UNet
from bigunet.model.int8.numbers import LARGEST_WEIGHT, PREFIX, Int8Numbers
from bigunet.model.int8.quantising import quantised
from bigunet.model.int8.rounding import Levels, rounded
from bigunet.model.networks.unet import UNet, UNetConfig
from bigunet.tiling import Tiling

_CONFIGS = st.builds(
    UNetConfig,
    ndim=st.sampled_from((2, 3)),
    in_channels=st.integers(1, 2),
    classes=st.integers(1, 3),
    width=st.integers(2, 9),
    depth=st.integers(1, 2),
    batch_norm=st.booleans(),
    dropout=st.just(0.0),
)


def _network(config: UNetConfig, seed: int) -> UNet:
    torch.manual_seed(seed)
    return UNet(config).initialise().eval()


def _image(config: UNetConfig, seed: int, *, more: int = 0) -> Tensor:
    field = config.receptive_field()
    shape = field.input_shape((2**config.depth + more,) * config.ndim)
    random = torch.Generator().manual_seed(seed)
    return torch.randn((1, config.in_channels, *shape), generator=random)


def _int8(config: UNetConfig, seed: int = 0) -> Int8UNet:
    numbers = quantised(_network(config, seed), [_image(config, seed, more=4)])
    # As a model file would give them back.
    return Int8UNet(config, Int8Numbers.from_tensors(numbers.to_tensors(), config)).eval()


@settings(max_examples=6, deadline=None)
@given(_CONFIGS, st.integers(0, 99))
def test_openvino_gives_the_bytes_of_torch(config: UNetConfig, seed: int) -> None:
    network, image = _int8(config, seed), _image(config, seed + 1, more=5)
    module = OpenVinoModule(
        network,
        in_channels=config.in_channels,
        sample_shape=image.shape[2:],
        precision="int8",
        threads=1,
    )
    with torch.inference_mode():
        assert module(image).numpy().tobytes() == network(image).numpy().tobytes()


@settings(max_examples=4, deadline=None)
@given(_CONFIGS, st.integers(4, 13))
def test_tiles_give_the_bytes_of_the_whole(config: UNetConfig, side: int) -> None:
    network, field = _int8(config), config.receptive_field()
    image = _image(config, 3, more=9)
    whole_box = Box.of_shape(field.scores_shape(image.shape[2:]))
    with torch.inference_mode():
        whole = network(image)[0].numpy()
        for tile in Tiling(field, (side,) * config.ndim).tiles(whole_box):
            outer, read = Box.of_shape(image.shape[2:]), tile.input.shift(field.halo)
            if not outer.contains(read):
                continue
            place = (slice(None), slice(None), *read.within(outer))
            scores = network(image[place])[0].numpy()
            kept = scores[(slice(None), *tile.output.within(tile.scores))]
            expected = whole[(slice(None), *tile.output.within(whole_box))]
            assert kept.tobytes() == expected.tobytes()


@given(st.integers(0, 2**31), st.floats(1e-4, 1e4), st.floats(-1e3, 1e3))
def test_no_output_is_half_way_between_two_integers(seed: int, size: float, bias: float) -> None:
    random = torch.Generator().manual_seed(seed)
    weight = size * torch.randn((3, 4, 3, 3), generator=random, dtype=torch.float64)
    levels = Levels(torch.zeros(4), torch.ones(4))
    layer = rounded(weight, torch.full((3,), bias), inputs=levels, outputs=_first(levels, 3))
    assert layer.weight.to(torch.int16).abs().max() <= LARGEST_WEIGHT
    assert (layer.divisor % 2 == 1).all()
    # Roundings of float32 near an output are less than the distance to half-way.
    largest = 256 + (layer.bias / layer.divisor).abs()
    assert (8 * largest * 2.0**-24 <= 0.5 / layer.divisor).logical_or(layer.divisor == 1).all()


def _first(levels: Levels, count: int) -> Levels:
    return Levels(levels.low[:count], levels.step[:count])


def test_scores_are_near_those_of_fp32() -> None:
    config = UNetConfig(width=16, depth=2, classes=2, dropout=0.0)
    network, image = _network(config, 0), _image(config, 0, more=40)
    numbers = quantised(network, [image])
    with torch.inference_mode():
        exact, scores = network(image), Int8UNet(config, numbers)(image)
    assert (exact - scores).std() < 0.1 * exact.std()


def _damaged(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key: value for key, value in tensors.items() if key != f"{PREFIX}{name}"}


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("low", None, "are not those of the network"),
        ("head.bias", torch.zeros(1), "another shape or type"),
        ("step", torch.zeros(1), "no range of the input"),
        ("up.0.divisor", torch.full((2,), 2.0), "without rounding"),
        ("up.0.divisor", torch.full((2,), np.nan), "no divisor"),
        ("encoder.0.1.weight", torch.full((2, 2, 3, 3), 100, dtype=torch.int8), "7 bits"),
        ("encoder.0.0.bias", torch.full((2,), 2**30, dtype=torch.int32), "without rounding"),
    ],
)
def test_damaged_numbers_are_refused(name: str, value: Tensor | None, reason: str) -> None:
    config = UNetConfig(width=2, depth=1, dropout=0.0)
    tensors = _damaged(_int8(config).numbers.to_tensors(), name)
    if value is not None:
        tensors[f"{PREFIX}{name}"] = value
    with pytest.raises(ModelError, match=reason):
        Int8Numbers.from_tensors(tensors, config)


def test_other_networks_are_refused() -> None:
    with pytest.raises(ModelError, match="for U-Nets of bigunet"):
        quantised(torch.nn.Conv2d(1, 2, 3), [])
