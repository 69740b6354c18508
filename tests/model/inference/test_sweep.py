"""A swept U-Net: it computes what a pass over the whole tile computes, in less memory."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from bigunet.errors import OptionError
from bigunet.model.inference import sweep as sweep_module
from bigunet.model.inference.folding import fold_batch_norm
from bigunet.model.inference.sweep import Sweep, can_sweep, check_can_sweep, convolved
from bigunet.model.inference.sweep_plan import swept_activations
from bigunet.model.inference.turning import Turning
from bigunet.model.networks.fcn import FCN, FCNConfig
from bigunet.model.networks.unet import UNet, UNetConfig

LAYOUTS = {2: torch.channels_last, 3: torch.channels_last_3d}


@dataclass(frozen=True)
class Case:
    """A network, a valid tile of it, and a number of planes of a slab."""

    config: UNetConfig
    shape: tuple[int, ...]
    slab: int


@st.composite
def cases(draw: st.DrawFn) -> Case:
    ndim = draw(st.sampled_from((2, 3)))
    config = UNetConfig(
        ndim=ndim,
        in_channels=draw(st.integers(1, 2)),
        classes=draw(st.integers(1, 3)),
        width=draw(st.integers(1, 5)),
        depth=draw(st.integers(1, 3 if ndim == 2 else 1)),
        batch_norm=draw(st.booleans()),
    )
    outputs = [draw(st.integers(1, 40)), *(draw(st.integers(1, 6)) for _ in range(ndim - 1))]
    shape = config.receptive_field().input_shape(outputs)
    return Case(config, shape, draw(st.integers(1, shape[0] + 3)))


def network_of(config: UNetConfig) -> UNet:
    torch.manual_seed(0)
    network = UNet(config).initialise().eval()
    for module in network.modules():
        if isinstance(module, (nn.BatchNorm2d, nn.BatchNorm3d)):
            module.running_mean.uniform_(-1, 1)
            module.running_var.uniform_(0.5, 2)
    return network


def image_for(case: Case) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand((1, case.config.in_channels, *case.shape), generator=generator)


def swept(case: Case, image: Tensor, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    layout = LAYOUTS[case.config.ndim]
    network = fold_batch_norm(network_of(case.config)).to(memory_format=layout)
    sweep = Sweep(network, case.slab, dtype=dtype, layout=layout)
    slabs = (image[:, :, part] for part in sweep.slabs(image.shape[2]))
    return list(sweep.scores(slabs, image.shape[2:]))


@given(cases())
@settings(max_examples=30)
@torch.inference_mode()
def test_a_sweep_gives_the_scores_of_one_pass(case: Case) -> None:
    image = image_for(case)
    expected = network_of(case.config)(image)
    scores = torch.cat(swept(case, image), dim=2)
    assert scores.shape == expected.shape
    assert (scores - expected).abs().max() <= 1e-5 * max(float(expected.abs().max()), 1e-3)


@given(cases())
@settings(max_examples=15)
@torch.inference_mode()
def test_a_sweep_in_bf16_is_as_near_to_fp32_as_one_pass(case: Case) -> None:
    image = image_for(case)
    exact = network_of(case.config)(image)
    with torch.autocast("cpu", torch.bfloat16):
        at_once = fold_batch_norm(network_of(case.config))(image)
    scores = torch.cat(swept(case, image, torch.bfloat16), dim=2)
    scale = max(float(exact.abs().max()), 1e-3)
    error = float((scores - exact).abs().max()) / scale
    assert error <= 0.02 + 2 * float((at_once - exact).abs().max()) / scale


@given(cases())
@settings(max_examples=20)
@torch.inference_mode()
def test_a_sweep_does_the_operations_of_one_pass(case: Case) -> None:
    counted = []

    def count(layer: nn.Module, planes: Tensor) -> Tensor:
        output = convolved(layer, planes)
        counted.append(2 * math.prod(output.shape[2:]) * layer.weight.numel())
        return output

    def count_up(layer: nn.Module, _: tuple[Tensor], output: Tensor) -> None:
        # Each voxel of an up-convolution has one tap.
        counted.append(2 * output.numel() * layer.in_channels)

    with (
        pytest.MonkeyPatch.context() as patch,
        nn.modules.module.register_module_forward_hook(
            lambda layer, *rest: count_up(layer, *rest) if "Transpose" in repr(layer) else None
        ),
    ):
        patch.setattr(sweep_module, "convolved", count)
        swept(case, image_for(case))
    assert sum(counted) == case.config.flops(case.shape)


def peak_bytes(recorded: profile) -> int:
    """The most memory of tensors, without what a convolution takes and gives back itself."""
    events = sorted(recorded.profiler.kineto_results.events(), key=lambda event: event.start_ns())
    held = peak = inside_until = 0
    for event in events:
        if "convolution" in event.name():
            inside_until = max(inside_until, event.start_ns() + event.duration_ns())
        if event.name() == "[memory]":
            held += event.nbytes()
            if event.start_ns() > inside_until:
                peak = max(peak, held)
    return peak


@torch.inference_mode()
def held_and_planned(case: Case) -> tuple[int, int]:
    """The most bytes that a sweep holds in fp32, and those that are planned."""
    image = image_for(case)
    layout = LAYOUTS[case.config.ndim]
    network = fold_batch_norm(network_of(case.config)).to(memory_format=layout)
    sweep = Sweep(network, case.slab, dtype=torch.float32, layout=layout)
    slabs = [image[:, :, part] for part in sweep.slabs(image.shape[2])]
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        largest = max(scores.numel() for scores in sweep.scores(slabs, image.shape[2:]))
    planned = swept_activations(case.config, case.shape, case.slab)
    return peak_bytes(recorded), 4 * (planned + 2 * largest)


@given(cases())
@settings(max_examples=15)
def test_a_sweep_holds_no_more_than_is_planned(case: Case) -> None:
    held, planned = held_and_planned(case)
    assert held <= planned


def test_a_sweep_holds_little_less_than_is_planned() -> None:
    config = UNetConfig(width=8, depth=3)
    held, planned = held_and_planned(Case(config, (252, 604), 8))
    assert 0.75 * planned <= held <= planned


def test_a_long_tile_takes_little_more_memory_than_a_short_one() -> None:
    config = UNetConfig(ndim=3, width=32, depth=3)
    short, long = (swept_activations(config, (n, 348, 348), 8) for n in (220, 1004))
    assert long <= 1.01 * short
    assert long <= 0.3 * config.activations((220, 348, 348))


def test_only_unchanged_networks_are_swept() -> None:
    config = UNetConfig(ndim=2, width=2, depth=1)
    assert can_sweep(UNet(config))
    changed = UNet(config)
    changed.encoder[0][1] = nn.LeakyReLU()
    hooked = UNet(config)
    hooked.head.register_forward_hook(lambda *_: None)
    turning = Turning(UNet(config), config.receptive_field())
    for module in (changed, hooked, turning, FCN(FCNConfig(width=2, depth=1)), nn.Conv2d(1, 2, 3)):
        assert not can_sweep(module)
        with pytest.raises(OptionError, match="--slab is for bigunet's own U-Nets"):
            check_can_sweep(module, "auto")
    with pytest.raises(OptionError, match="computed by torch, not by openvino"):
        check_can_sweep(UNet(config), "openvino")
