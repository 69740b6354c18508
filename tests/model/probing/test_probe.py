"""Laws of the probed receptive field."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nuclei_broad import NucleiBroad
from torch import Tensor, nn
from torch.nn import functional

from bigunet.errors import ModelError
from bigunet.model.networks.unet import UNet, UNetConfig
from bigunet.model.probing.probe import Probed, probe


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


class Encoder(nn.Module):
    """A zero-padded network: convolutions, ``depth`` poolings, interpolation back, no skips."""

    def __init__(self, depth: int, *, mode: str = "nearest", align: bool | None = None) -> None:
        super().__init__()
        self.depth, self.mode, self.align = depth, mode, align
        self.first = nn.Conv2d(1, 3, 3, padding=1)
        self.last = nn.Conv2d(3, 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for _ in range(self.depth):
            x = functional.max_pool2d(x, 2)
        factor = 2**self.depth
        x = functional.interpolate(x, scale_factor=factor, mode=self.mode, align_corners=self.align)
        return self.last(x)


class SelfAttention(nn.Module):
    """An attention layer in which every voxel depends on every other voxel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = nn.MultiheadAttention(channels, 1, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(2).transpose(1, 2)
        return self.heads(tokens, tokens, tokens)[0].transpose(1, 2).reshape(x.shape)


class SqueezeExcite(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pooled = nn.AdaptiveAvgPool2d(1)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.pooled(x).sigmoid()


class CenteredOnTheMean(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(dim=(2, 3), keepdim=True)


def between_convolutions(layer: Callable[[int], nn.Module]) -> nn.Module:
    layers = {"a": nn.Conv2d(1, 4, 3, padding=1), "mixer": layer(4), "b": nn.Conv2d(4, 2, 1)}
    module = nn.Sequential()
    for name, child in layers.items():
        module.add_module(name, child)
    return module


@pytest.mark.parametrize(
    ("ndim", "depth", "width"), [(2, 1, 4), (2, 2, 2), (2, 2, 4), (2, 3, 2), (3, 1, 2)]
)
def test_the_probe_measures_what_the_arithmetic_gives_for_unets(
    ndim: int, depth: int, width: int
) -> None:
    config = UNetConfig(ndim=ndim, depth=depth, width=width, classes=3)
    probed = probe(UNet(config), in_channels=1, ndim=ndim)
    assert probed == Probed(config.receptive_field(), 3, "logits")


def test_dead_activations_do_not_hide_the_stride() -> None:
    config = UNetConfig(depth=2, width=2)
    module = UNet(config)
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, nn.Conv2d):
                layer.bias.fill_(-100.0)
    assert probe(module, in_channels=1, ndim=2).field.stride == (4, 4)


@settings(deadline=None, max_examples=12)
@given(
    st.lists(
        st.tuples(st.sampled_from((1, 3, 5)), st.sampled_from((1, 2, 3))), min_size=1, max_size=3
    ),
    st.integers(0, 2),
)
def test_the_halo_of_a_padded_network_is_its_reach_rounded_up_to_the_stride(
    convolutions: list[tuple[int, int]], pools: int
) -> None:
    layers: list[nn.Module] = [
        nn.Conv2d(1, 1, size, dilation=dilation, padding=size // 2 * dilation)
        for size, dilation in convolutions
    ]
    reach = sum(size // 2 * dilation for size, dilation in convolutions)
    stride = 2**pools
    layers += [nn.MaxPool2d(2)] * pools
    layers += [nn.Upsample(scale_factor=stride)] if pools else []
    field = probe(nn.Sequential(*layers), in_channels=1, ndim=2).field
    assert field.stride == (stride, stride)
    assert field.border == (0, 0)
    assert field.halo[0] % stride == 0
    # A voxel acts on the whole cell of its pooling, which adds at most stride - 1 voxels.
    assert reach <= field.halo[0] <= reach + 2 * stride - 1


@pytest.mark.parametrize(
    ("module", "stride", "halo"),
    [
        (Encoder(1, mode="bilinear", align=False), 2, 4),
        (Encoder(2), 4, 8),
        (Encoder(5), 32, 64),  # a tile of 48 voxels is accepted, but becomes 32
        (nn.Sequential(nn.MaxPool2d(3), nn.ConvTranspose2d(1, 2, 3, stride=3)), 3, 3),
        (nn.Sequential(nn.MaxPool2d(5), nn.ConvTranspose2d(1, 2, 5, stride=5)), 5, 5),
        (between_convolutions(nn.BatchNorm2d), 1, 1),
        (nn.Conv2d(1, 2, 3, padding=9, dilation=9), 1, 9),
        (nn.Conv2d(1, 2, 1), 1, 0),
    ],
)
def test_networks_of_other_kinds_are_measured(module: nn.Module, stride: int, halo: int) -> None:
    probed = probe(module, in_channels=1, ndim=2)
    field = probed.field
    assert (field.stride, field.halo) == ((stride, stride), (halo, halo))
    assert field.border == field.remainder == (0, 0)
    assert probed.num_scores == 2


@pytest.mark.parametrize(
    ("layer", "named"),
    [
        (lambda c: nn.InstanceNorm2d(c), r"layer 'mixer' \(InstanceNorm2d\)"),
        (lambda c: nn.GroupNorm(2, c), r"layer 'mixer' \(GroupNorm\)"),
        (SelfAttention, r"layer 'mixer.heads' \(MultiheadAttention\)"),
        (SqueezeExcite, r"layer 'mixer.pooled' \(AdaptiveAvgPool2d\)"),
    ],
)
def test_layers_that_mix_the_whole_tile_are_named(
    layer: Callable[[int], nn.Module], named: str
) -> None:
    with pytest.raises(ModelError, match=f"{named}: its output depends on the whole tile"):
        probe(between_convolutions(layer), in_channels=1, ndim=2)


def test_a_mixing_layer_behind_a_deep_network_is_named_not_the_deep_layers() -> None:
    module = nn.Sequential(Encoder(3), nn.Conv2d(2, 2, 25, padding=12), nn.GroupNorm(1, 2))
    with pytest.raises(ModelError, match=r"layer '2' \(GroupNorm\)"):
        probe(module, in_channels=1, ndim=2)


def test_a_mixing_module_of_an_unknown_kind_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bigunet.model.probing.probe._SIZES", {2: (32, 48)})
    with pytest.raises(ModelError, match=r"layer 'mixer' \(CenteredOnTheMean\)"):
        probe(between_convolutions(CenteredOnTheMean), in_channels=1, ndim=2)


def test_interpolation_tied_to_the_tiles_corners_is_refused() -> None:
    at_fault = r"functional\.interpolate in Encoder, test_probe\.py:\d+: its output depends on the"
    with pytest.raises(ModelError, match=f"{at_fault} .* use align_corners=False"):
        probe(Encoder(1, mode="bilinear", align=True), in_channels=1, ndim=2)


def test_running_statistics_make_instance_normalisation_local() -> None:
    module = between_convolutions(lambda c: nn.InstanceNorm2d(c, track_running_stats=True))
    assert probe(module, in_channels=1, ndim=2).field.halo == (1, 1)


@pytest.mark.parametrize(
    "module",
    [
        nn.Conv2d(1, 2, 3, padding=1, stride=2),  # half of the voxels
        nn.Sequential(nn.Conv2d(1, 2, 3), nn.Upsample(scale_factor=2)),  # twice the voxels
        nn.Conv2d(1, 2, 4),  # cut by 1 voxel on one side and by 2 on the other
        nn.Conv2d(1, 2, (3, 5)),
    ],
)
def test_scores_on_another_grid_are_refused(module: nn.Module) -> None:
    with pytest.raises(ModelError, match="not the image's voxel grid"):
        probe(module, in_channels=1, ndim=2)


@pytest.mark.parametrize(
    ("module", "ndim", "message"),
    [
        (nn.Flatten(), 2, "must give one tensor of scores"),
        (nn.Conv2d(7, 2, 3), 2, "Conv2d reads 7 channels, but the image is said to have 1"),
        (nn.Conv1d(1, 2, 3), 1, "a module of 1 spatial axes"),
    ],
)
def test_modules_that_do_not_segment_are_refused(
    module: nn.Module, ndim: int, message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        probe(module, in_channels=1, ndim=ndim)


def test_the_module_of_the_caller_is_not_changed() -> None:
    module = between_convolutions(nn.BatchNorm2d).train().half()
    before = copy.deepcopy(module.state_dict())
    probe(module, in_channels=1, ndim=2)
    assert all(layer.training for layer in module.modules())
    assert all(torch.equal(before[name], now) for name, now in module.state_dict().items())
    assert {p.dtype for p in module.parameters()} == {torch.float16}
    assert not any(layer._forward_hooks for layer in module.modules())


class AfterStep(nn.Module):
    """A convolution after a step that hides NaNs."""

    def __init__(self, step: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.step, self.conv = step, nn.Conv2d(1, 2, 5, padding=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.step(x))


@pytest.mark.parametrize("step", [torch.nan_to_num, lambda x: (x > 0.5).to(x.dtype)])
def test_a_module_that_hides_its_input_is_refused(step: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(ModelError, match="cannot be measured: it hides what its input was"):
        probe(AfterStep(step), in_channels=1, ndim=2)


class PartlyHidden(AfterStep):
    """A module that hides NaNs from its wide convolution, but not from the voxel itself."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + x


def test_a_halo_that_values_contradict_is_refused() -> None:
    with pytest.raises(ModelError, match="give different scores"):
        probe(PartlyHidden(torch.nan_to_num), in_channels=1, ndim=2)


class Coarse(nn.Module):
    """A module that pools, and resizes the result to the size of the tile."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size, self.head = size, nn.Conv2d(2, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.avg_pool2d(x, self.size)
        y = functional.interpolate(y, size=x.shape[-2:], mode="nearest")
        return self.head(torch.cat((x, y), dim=1))


@pytest.mark.parametrize("size", [3, 5, 7, 9])
def test_a_module_that_resizes_to_its_tile_needs_whole_strides(size: int) -> None:
    field = probe(Coarse(size), in_channels=1, ndim=2).field
    assert (field.stride, field.remainder) == ((size, size), (0, 0))
    assert size <= field.halo[0] <= 2 * size


class Cropped(nn.Module):
    def __init__(self, inner: nn.Module, first: int, last: int) -> None:
        super().__init__()
        self.inner, self.first, self.last = inner, first, last

    def forward(self, x: Tensor) -> Tensor:
        scores = self.inner(x)
        kept = slice(self.first, scores.shape[-1] - self.last)
        return scores[..., kept, kept]


@pytest.mark.parametrize(("first", "last"), [(0, 2), (2, 0), (1, 3), (0, 4), (8, 0)])
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_a_crop_of_one_side_is_refused(first: int, last: int, depth: int) -> None:
    inner = Encoder(depth) if depth else nn.Conv2d(1, 2, 3, padding=1)
    with pytest.raises(ModelError, match="voxels beside the voxels they are of, along spatial"):
        probe(Cropped(inner, first, last), in_channels=1, ndim=2)


@pytest.mark.parametrize("cut", [1, 2, 5])
def test_a_crop_of_both_sides_is_the_border(cut: int) -> None:
    field = probe(Cropped(Encoder(1), cut, cut), in_channels=1, ndim=2).field
    assert field.border == (cut, cut)
    assert field.stride == (2, 2)


def test_a_zero_padded_network_of_a_caller_is_measured() -> None:
    probed = probe(NucleiBroad(), in_channels=1, ndim=2)
    field = probed.field
    assert (field.stride, field.border, probed.num_scores) == ((8, 8), (0, 0), 1)
