"""Laws of counting operations."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bigunet.model.inference.flops import flop_counter
from bigunet.model.networks.unet import UNet, UNetConfig

CONFIGS = st.builds(
    UNetConfig,
    ndim=st.sampled_from((2, 3)),
    in_channels=st.integers(1, 3),
    classes=st.integers(1, 4),
    width=st.integers(1, 3),
    depth=st.integers(1, 3),
    batch_norm=st.booleans(),
)


def test_the_papers_tiles_cost_a_third_more_than_one_huge_pass() -> None:
    with torch.device("meta"):
        count = flop_counter(UNet(UNetConfig()), in_channels=1)
    tile = count((572, 572)) / 388**2
    side = 16 * 10_000 + 4
    whole = count((side + 184, side + 184)) / side**2
    assert tile == pytest.approx(1.998e6, rel=1e-3)
    assert whole == pytest.approx(1.468e6, rel=1e-3)
    assert tile / whole == pytest.approx(1.36, abs=0.005)


@settings(deadline=None, max_examples=20)
@given(CONFIGS, st.integers(1, 40))
def test_the_count_of_a_unet_is_that_of_torch(config: UNetConfig, inner: int) -> None:
    shape = config.receptive_field().input_shape((inner,) * config.ndim)
    with torch.device("meta"):
        module = UNet(config)
    counted = flop_counter(nn.Sequential(module), in_channels=config.in_channels)
    assert flop_counter(module, in_channels=config.in_channels)(shape) == counted(shape)


def test_a_convolution_costs_two_operations_per_tap() -> None:
    count = flop_counter(nn.Conv2d(3, 5, 3), in_channels=3)
    assert count((12, 22)) == 2 * 3 * 5 * 9 * 10 * 20


def test_counting_does_not_move_the_module() -> None:
    module = nn.Conv2d(1, 2, 3).train()
    flop_counter(module, in_channels=1)((8, 8))
    assert module.training
    assert module.weight.device.type == "cpu"


class LooksAtValues(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 0 if bool((x > 1e9).any()) else x


def test_a_module_that_reads_values_has_no_count_and_no_error() -> None:
    assert flop_counter(LooksAtValues(), in_channels=1)((8, 8)) is None
