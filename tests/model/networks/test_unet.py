"""Laws of the U-Net: its weights, its crops, its phases."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bigunet.errors import ModelError
from bigunet.model.networks.unet import UNet, UNetConfig, skip_crops

CONFIGS = st.builds(
    UNetConfig,
    ndim=st.sampled_from((2, 3)),
    in_channels=st.integers(1, 3),
    classes=st.integers(1, 4),
    width=st.integers(1, 3),
    depth=st.integers(1, 2),
    batch_norm=st.booleans(),
    dropout=st.sampled_from((0.0, 0.5)),
)


def test_the_network_of_the_paper_has_31_030_658_weights() -> None:
    with torch.device("meta"):
        module = UNet(UNetConfig())
        scores = module(torch.empty(1, 1, 572, 572))
    assert sum(p.numel() for p in module.parameters()) == 31_030_658
    assert scores.shape == (1, 2, 388, 388)


@settings(deadline=None, max_examples=20)
@given(CONFIGS)
def test_scores_have_a_channel_per_class_and_lose_the_border(config: UNetConfig) -> None:
    field = config.receptive_field()
    size = field.input_shape((3,) * config.ndim)
    with torch.device("meta"):
        scores = UNet(config).eval()(torch.empty(2, config.in_channels, *size))
    assert scores.shape == (2, config.classes, *field.scores_shape(size))


@given(CONFIGS)
def test_the_numbers_of_a_unet_survive_a_dictionary(config: UNetConfig) -> None:
    assert UNetConfig.from_dict(config.to_dict()) == config


@pytest.mark.parametrize(("depth", "ndim"), [(1, 2), (2, 2), (3, 2), (1, 3)])
def test_windows_a_stride_apart_agree_and_others_do_not(depth: int, ndim: int) -> None:
    torch.manual_seed(depth)
    config = UNetConfig(ndim=ndim, width=4, depth=depth)
    field, module = config.receptive_field(), UNet(config).initialise().eval().double()
    (stride,), size = set(field.stride), field.input_shape((2 * 2**depth,) * ndim)
    image = torch.rand(1, 1, *(n + stride for n in size)).double()

    def scores(at: int) -> torch.Tensor:
        window = tuple(slice(at, at + n) for n in size)
        with torch.inference_mode():
            return module(image[(..., *window)])

    here = scores(0)
    for shift in range(1, stride + 1):
        kept = (..., *(slice(shift, None),) * ndim)
        other = (..., *(slice(0, -shift),) * ndim)
        agree = torch.allclose(here[kept], scores(shift)[other], rtol=0, atol=1e-9)
        assert agree == (shift == stride)


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
def test_skip_crops_are_what_the_deeper_levels_lose(depth: int) -> None:
    border = UNetConfig(depth=depth).receptive_field().border[0]
    # Two convolutions before the first crop lose 2 voxels, and so do the last two after it.
    assert skip_crops(depth)[0] == border - 4
    assert len(skip_crops(depth)) == depth


def test_initial_weights_are_gaussian_with_the_deviation_of_the_paper() -> None:
    torch.manual_seed(0)
    module = UNet(UNetConfig(width=32, depth=1, batch_norm=False)).initialise()
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3) and layer.in_channels > 1:
            expected = math.sqrt(2 / (9 * layer.in_channels))
            assert float(layer.weight.detach().std()) == pytest.approx(expected, rel=0.03)
            assert layer.bias is not None
            assert not layer.bias.any()


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"ndim": 1}, "ndim is 1; a U-Net here has 2 or 3 spatial axes"),
        ({"depth": 0}, "depth is 0; give 1 to 8"),
        ({"depth": 9}, "depth is 9; give 1 to 8"),
        ({"width": 0}, "width is 0; give at least 1"),
        ({"classes": 0}, "classes is 0; give at least 1"),
        ({"in_channels": -1}, "in_channels is -1; give at least 1"),
        ({"dropout": 1.0}, "dropout is 1.0; give a share"),
        ({"depth": 2.0}, "depth is 2.0; give a whole number"),  # JSON may contain it
        ({"breadth": 64}, "not the numbers of a U-Net: .*breadth"),
        ({"depth": "four"}, "depth is 'four'; give a whole number"),
    ],
)
def test_numbers_out_of_range_are_refused(numbers: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        UNetConfig.from_dict(numbers)
