"""Laws of the fully convolutional network: its levels meet on one grid, and only scores go up."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bigunet.model.networks.fcn import FCN, FCNConfig, linear_upsampling, score_crops
from bigunet.model.networks.unet import UNet, UNetConfig


@pytest.mark.parametrize(("depth", "skips", "ndim"), [(1, 0, 2), (2, 1, 2), (3, 2, 2), (2, 0, 3)])
def test_windows_a_stride_apart_agree_and_others_do_not(depth: int, skips: int, ndim: int) -> None:
    torch.manual_seed(depth)
    config = FCNConfig(ndim=ndim, width=4, depth=depth, skips=skips)
    # The scores of the finer levels start at 0, which would hide a disagreement.
    field, module = config.receptive_field(), FCN(config).eval().double()
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


def centres(size: int, factor: int, first: float = 0.0) -> torch.Tensor:
    """Positions of the voxels of a grid, in voxels of the image."""
    return first + factor * torch.arange(size).double() + (factor - 1) / 2


@pytest.mark.parametrize("ndim", [2, 3])
def test_upsampling_starts_as_linear_interpolation_between_voxel_centres(ndim: int) -> None:
    config = FCNConfig(ndim=ndim, classes=3, width=1, depth=2, skips=1)
    up = FCN(config).initialise().up[0].double()
    coarse = torch.zeros(1, 3, *(5,) * ndim).double()
    for axis in range(ndim):
        ramp = centres(5, 2).reshape(-1, *(1,) * (ndim - 1 - axis))
        coarse += (10.0**axis) * ramp
    coarse *= torch.tensor([1.0, -2.0, 0.5]).reshape(1, 3, *(1,) * ndim)
    with torch.inference_mode():
        fine = up(coarse)
    for axis in range(ndim):
        along = fine.movedim(2 + axis, -1)
        steps = along.diff(dim=-1)
        assert torch.allclose(steps[0, 0], torch.full_like(steps[0, 0], 10.0**axis))
        assert torch.allclose(steps[0, 1], torch.full_like(steps[0, 1], -2 * 10.0**axis))
    # The first fine voxel is voxel 1 of the image, because one voxel is cut on each side.
    assert fine.shape[2:] == (8,) * ndim
    assert float(fine[(0, 0, *(0,) * ndim)]) == pytest.approx(sum(10.0**a for a in range(ndim)))


@pytest.mark.parametrize(("depth", "skips"), [(1, 0), (2, 1), (3, 1), (3, 2), (4, 2)])
def test_the_scores_of_each_level_lie_where_their_voxels_lie(depth: int, skips: int) -> None:
    """With features that are positions, the scores of all levels are the same positions."""
    config = FCNConfig(width=1, depth=depth, skips=skips, classes=1)
    field, module = config.receptive_field(), FCN(config).initialise().eval().double()
    module.pool = nn.AvgPool2d(2)  # the mean of positions is the position of the middle
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, nn.Conv2d):
                layer.weight.zero_()
                middle = (s // 2 for s in layer.kernel_size)
                layer.weight[(0, 0, *middle)] = 1
                for channel in range(1, len(layer.weight)):
                    layer.weight[channel] = layer.weight[0]
    size = field.input_shape((8, 8))[0]
    place = centres(size, 1).expand(1, 1, size, size)
    with torch.inference_mode():
        scores = module(place)
    border = field.border[0]
    expected = (1 + skips) * centres(size - 2 * border, 1, first=border)
    assert torch.allclose(scores[0, 0], expected.expand_as(scores[0, 0]))


def test_the_finer_levels_scores_start_at_zero() -> None:
    module = FCN(FCNConfig(width=2, depth=4, skips=3)).initialise()
    assert len(module.skip_heads) == len(module.up) == 3
    assert not any(p.any() for head in module.skip_heads for p in head.parameters())
    assert all(p.any() for p in module.encoder.parameters() if p.ndim > 1)


@pytest.mark.parametrize(
    ("depth", "given_skips", "skips"), [(1, 2, 0), (2, 2, 1), (3, 2, 2), (5, 9, 4)]
)
def test_there_are_no_more_skips_than_levels_between(
    depth: int, given_skips: int, skips: int
) -> None:
    config = FCNConfig(depth=depth, skips=given_skips)
    assert config.skips == config.to_dict()["skips"] == skips
    assert len(score_crops(depth, config.skips)) == skips
    assert FCNConfig.from_dict(config.to_dict()) == config


def test_nothing_but_scores_is_computed_on_the_way_up() -> None:
    """The network has the contracting path of the U-Net, and a few hundred weights more."""
    fcn, unet = FCN(FCNConfig(width=4, depth=3)), UNet(UNetConfig(width=4, depth=3))
    encoder = sum(p.numel() for p in unet.encoder.parameters())
    assert sum(p.numel() for p in fcn.encoder.parameters()) == encoder
    rest = sum(p.numel() for p in fcn.parameters()) - encoder
    heads = 2 * (32 + 1) + 2 * (8 + 1) + 2 * (4 + 1)
    assert rest == heads + 2 * 2 * 2 * 4**2


def test_linear_upsampling_treats_each_class_by_itself() -> None:
    kernel = linear_upsampling(torch.zeros(3, 3, 4, 4))
    assert torch.equal(kernel[0, 0].sum(), torch.tensor(4.0))  # each voxel becomes four
    assert torch.equal(kernel[0, 0], kernel[2, 2])
    assert not kernel[0, 1].any()
    assert not kernel[2, 0].any()
