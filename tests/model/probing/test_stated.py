"""A halo that the user states: taken where it holds on noise, refused where it does not."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from bigunet import Model
from bigunet.errors import InexactError, ModelError


class Hides(nn.Module):
    """A network that hides NaN, so that its halo cannot be measured: reach and stride are known."""

    def __init__(self, reach: int, stride: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(1, 2, 2 * reach + 1, padding=reach)
        self.stride = stride

    def forward(self, image: Tensor) -> Tensor:
        coarse = functional.max_pool2d(torch.nan_to_num(image), self.stride)
        fine = functional.interpolate(coarse, scale_factor=float(self.stride))
        scores: Tensor = self.conv(fine)
        return scores


@settings(max_examples=3, deadline=None)
@given(reach=st.integers(1, 6), stride=st.sampled_from([1, 2, 3, 4, 6]), more=st.integers(0, 5))
def test_a_halo_that_holds_is_taken_with_the_measured_stride(
    reach: int, stride: int, more: int
) -> None:
    # A voxel acts as far as the convolution, and over its pooling.
    halo = reach + stride - 1 + more
    field = Model.of_module(Hides(reach, stride), ndim=2, halo=(halo,)).receptive_field
    assert field.stride == (stride, stride)
    assert field.halo == (-(-halo // stride) * stride,) * 2


@pytest.mark.parametrize("halo", [(1,), (3, 5)])
def test_a_halo_that_does_not_hold_is_refused(halo: tuple[int, ...]) -> None:
    with pytest.raises(InexactError, match=r"stated halo .* does not hold"):
        Model.of_module(Hides(5, 1), ndim=2, halo=halo)
    with pytest.raises(InexactError, match="does not hold"):
        Model.of_module(Hides(5, 1), ndim=2, halo=halo, blend=True)


def test_a_network_that_reads_the_whole_tile_is_refused_with_any_halo() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.InstanceNorm2d(2))
    with pytest.raises(InexactError, match="does not hold"):
        Model.of_module(net, ndim=2, halo=(30,))


def test_a_halo_that_was_measured_may_be_larger_and_not_smaller() -> None:
    net = nn.Conv2d(1, 2, 5, padding=2)
    assert Model.of_module(net, ndim=2, halo=(4, 3)).receptive_field.halo == (4, 3)
    with pytest.raises(ModelError, match=r"stated halo 1 × 1 is less than 2 × 2"):
        Model.of_module(net, ndim=2, halo=(1,))
    with pytest.raises(ModelError, match=r"give one number, or 2"):
        Model.of_module(net, ndim=2, halo=(1, 2, 3))
