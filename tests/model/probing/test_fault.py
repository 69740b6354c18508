"""Modules that no halo makes local are refused after little work, and the call is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from bigunet.errors import ModelError
from bigunet.model.probing.probe import probe

# Voxels of all passes before a refusal; one tile of 768² voxels has 600,000.
_MOST_VOXELS = 5_000_000


class Segmenter(nn.Module):
    """A small zero-padded U-Net with a step before it, and a step on its features."""

    voxels = 0

    def __init__(
        self,
        *,
        before: Callable[[Tensor], Tensor] = lambda x: x,
        inside: Callable[[Tensor], Tensor] = lambda x: x,
        layer: nn.Module | None = None,
        channels: int = 1,
        size: int = 2,
        **upsampling: Any,
    ) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.before, self.inside, self.size = before, inside, size
        self.first = nn.Conv2d(channels, 4, 3, padding=1)
        self.deep = nn.Conv2d(4, 4, 3, padding=1)
        self.layer = layer or nn.Identity()
        self.head = nn.Conv2d(8, 2, 1)
        self.upsampling = {"scale_factor": size, "mode": "bilinear", **upsampling}

    def forward(self, image: Tensor) -> Tensor:
        if not image.is_meta:
            Segmenter.voxels += image.numel()
        fine = self.first(self.before(image)).relu()
        coarse = self.inside(self.deep(functional.max_pool2d(fine, self.size)).relu())
        again = functional.interpolate(self.layer(coarse), **self.upsampling)
        return self.head(torch.cat([fine, again], dim=1))


def with_coordinates(image: Tensor) -> Tensor:
    rows = torch.linspace(-1, 1, image.shape[-2], dtype=image.dtype)
    return torch.cat([image, rows[:, None].expand_as(image)], dim=1)


def with_counted_columns(image: Tensor) -> Tensor:
    columns = torch.arange(image.shape[-1], dtype=image.dtype)
    return image + 0.01 * columns


def attended(x: Tensor) -> Tensor:
    tokens = x.flatten(2).transpose(1, 2)
    return (
        functional.scaled_dot_product_attention(tokens, tokens, tokens).transpose(1, 2).view_as(x)
    )


class OwnNorm(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x / x.std()


def quantile_by_nan(image: Tensor) -> Tensor:
    return image - torch.nanquantile(image.flatten(), 0.01)


@pytest.mark.parametrize(
    ("module", "named"),
    [
        (lambda: Segmenter(before=with_coordinates, channels=2), "torch.linspace in Segmenter"),
        (lambda: Segmenter(before=with_counted_columns), "torch.arange in Segmenter"),
        (lambda: Segmenter(align_corners=True), "functional.interpolate in Segmenter"),
        (lambda: Segmenter(before=quantile_by_nan), "torch.nanquantile in Segmenter"),
        (lambda: Segmenter(before=lambda x: x - x.nanmean()), "torch.Tensor.nanmean in Segmenter"),
        (lambda: Segmenter(before=lambda x: x - x.mean()), "torch.Tensor.mean in Segmenter"),
        (lambda: Segmenter(before=lambda x: x / x.amax((2, 3), True)), "torch.Tensor.amax in"),
        (lambda: Segmenter(inside=attended), "scaled_dot_product_attention in Segmenter"),
        (lambda: Segmenter(inside=functional.instance_norm), "functional.instance_norm in"),
        (lambda: Segmenter(inside=lambda x: x.cumsum(-1)), "torch.Tensor.cumsum in Segmenter"),
        (lambda: Segmenter(layer=OwnNorm()), r"torch.Tensor.std in layer 'layer' \(OwnNorm\)"),
        (lambda: Segmenter(layer=nn.GroupNorm(2, 4)), r"layer 'layer' \(GroupNorm\)"),
        (
            lambda: Segmenter(layer=nn.BatchNorm2d(4, track_running_stats=False)),
            r"layer 'layer' \(BatchNorm2d\)",
        ),
    ],
)
def test_the_call_at_fault_is_named_after_little_work(
    module: Callable[[], nn.Module], named: str
) -> None:
    Segmenter.voxels = 0
    with pytest.raises(ModelError, match=named) as caught:
        probe(module().eval(), in_channels=1, ndim=2)
    said = str(caught.value)
    assert "its output depends on the whole tile" in said
    assert len(said) <= 200
    assert Segmenter.voxels <= _MOST_VOXELS


@pytest.mark.parametrize("size", [2, 3, 5, 7])
def test_the_call_at_fault_is_not_the_pooling_whatever_its_size(size: int) -> None:
    module = Segmenter(size=size, align_corners=True)
    with pytest.raises(ModelError, match=r"interpolate in Segmenter, test_fault\.py:\d+: "):
        probe(module, in_channels=1, ndim=2)


@pytest.mark.parametrize("size", [2, 3, 5, 7, 11, 13])
def test_the_same_network_without_fault_is_measured(size: int) -> None:
    field = probe(Segmenter(size=size), in_channels=1, ndim=2).field
    assert field.stride == (size, size)
    assert 2 * size <= field.halo[0] <= 4 * size


def test_a_step_that_hides_its_input_is_named() -> None:
    module = Segmenter(before=lambda x: torch.nan_to_num(x))
    at_fault = r"torch\.nan_to_num in Segmenter, test_fault\.py:\d+: "
    with pytest.raises(ModelError, match=f"{at_fault}.*hides what its input was") as caught:
        probe(module, in_channels=1, ndim=2)
    assert len(str(caught.value)) <= 200


def test_volumes_are_refused_by_name_too() -> None:
    class Volume(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv3d(1, 2, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(x) + torch.linspace(0, 1, x.shape[-3], dtype=x.dtype)[:, None, None]

    with pytest.raises(ModelError, match=r"torch\.linspace in Volume"):
        probe(Volume(), in_channels=1, ndim=3)
