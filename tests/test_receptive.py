"""Laws of receptive-field arithmetic, held against what torch does with the same layers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bigunet.errors import ModelError
from bigunet.model.networks.unet import UNet, UNetConfig
from bigunet.receptive import Layer, ReceptiveField, input_extent, output_size

LAW = settings(deadline=None, max_examples=40)
# A multiple of the stride of every chain drawn here.
PERIOD = 6**3
PAPER = UNetConfig(ndim=2, depth=4).receptive_field()


@st.composite
def chains(draw: st.DrawFn) -> list[Layer]:
    """Random symmetric chains: convolutions around up to three poolings of 2 or 3."""

    def convs() -> list[Layer]:
        return [Layer("conv", n) for n in draw(st.lists(st.sampled_from((1, 3, 5)), max_size=2))]

    pools = draw(st.lists(st.sampled_from((2, 3)), max_size=3))
    chain = convs()
    for size in pools:
        chain += [Layer("pool", size), *convs()]
    for size in reversed(pools):
        chain += [Layer("up", size), *convs()]
    return chain


def network(chain: list[Layer]) -> nn.Sequential:
    """The chain in one dimension, float64, random weights."""
    layers: list[nn.Module] = []
    for layer in chain:
        if layer.kind == "conv":
            layers.append(nn.Conv1d(1, 1, layer.size))
        elif layer.kind == "pool":
            layers.append(nn.MaxPool1d(layer.size))
        else:
            layers.append(nn.ConvTranspose1d(1, 1, layer.size, stride=layer.size))
    return nn.Sequential(*layers).double()


def odd(chain: list[Layer]) -> bool:
    """Whether pooling by 3 makes the loss odd, which no border can express."""
    sizes = (n for n in range(4 * PERIOD, 5 * PERIOD) if passes(chain, n))
    return any((n - output_size(chain, n)) % 2 for n in sizes)


def passes(chain: list[Layer], size: int) -> bool:
    for layer in chain:
        if layer.kind == "pool" and size % layer.size:
            return False
        size = output_size([layer], size)
    return size > 0


@LAW
@given(chains(), st.integers(1, 40))
def test_the_field_of_a_chain_is_that_of_its_torch_module(
    chain: list[Layer], least_size: int
) -> None:
    if odd(chain):
        with pytest.raises(ModelError, match="an odd number"):
            ReceptiveField.of_chain(chain, ndim=1)
        return
    field = ReceptiveField.of_chain(chain, ndim=1)
    (size,) = field.input_shape((least_size,))
    assert passes(chain, size)
    (given_back,) = field.scores_shape((size,))
    assert network(chain)(torch.rand(1, 1, size).double()).shape[-1] == given_back >= least_size
    smaller = [n for n in range(size) if passes(chain, n)]
    assert all(field.scores_shape((n,))[0] < least_size for n in smaller)


@LAW
@given(chains().filter(lambda chain: not odd(chain)), st.integers(0, 4), st.integers(1, 20))
def test_a_window_at_a_multiple_of_the_stride_scores_as_the_whole(
    chain: list[Layer], steps: int, least_size: int
) -> None:
    field = ReceptiveField.of_chain(chain, ndim=1)
    (size,), start = field.input_shape((least_size,)), steps * field.stride[0]
    image = torch.rand(1, 1, size + 8 * field.stride[0]).double()
    with torch.inference_mode():
        module = network(chain)
        whole, part = module(image), module(image[..., start : start + size])
    assert torch.allclose(part, whole[..., start : start + part.shape[-1]], atol=1e-12)


@LAW
@given(chains(), st.integers(1, 9))
def test_the_input_extent_bounds_what_outputs_depend_on(chain: list[Layer], count: int) -> None:
    extent = input_extent(chain, count)
    size = next(n for n in range(extent + 4 * PERIOD, extent + 5 * PERIOD) if passes(chain, n))
    image = torch.rand(1, 1, size).double().requires_grad_()
    scores = network(chain)(image)
    start = scores.shape[-1] // 2
    scores[..., start : start + count].sum().backward()
    assert image.grad is not None
    reached = image.grad[0, 0].nonzero()
    assert int(reached.max() - reached.min()) + 1 <= extent


UNETS = st.builds(
    UNetConfig,
    ndim=st.sampled_from((2, 3)),
    width=st.just(1),
    depth=st.integers(1, 2),
    batch_norm=st.booleans(),
)


@settings(deadline=None, max_examples=15)
@given(UNETS, st.integers(1, 12))
def test_a_unet_takes_the_input_shape_and_one_stride_less_gives_too_little(
    config: UNetConfig, least_size: int
) -> None:
    field, module = config.receptive_field(), UNet(config).eval()
    size = field.input_shape((least_size,) * config.ndim)
    scores = module(torch.rand(1, 1, *size))
    assert tuple(scores.shape[2:]) == field.scores_shape(size)
    assert min(scores.shape[2:]) >= least_size
    smaller = [n - s for n, s in zip(size, field.stride)]
    assert max(field.scores_shape(smaller)) < least_size


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_unet_passes_exactly_the_sizes_that_the_check_passes(depth: int) -> None:
    config = UNetConfig(width=1, depth=depth, in_channels=1)
    field, module = config.receptive_field(), UNet(config).eval()
    for size in range(2 * field.border[0] - 8, 2 * field.border[0] + 2 * field.stride[0] + 1):
        shape = (size, size)
        try:
            field.check_input(shape)
        except ModelError:
            with pytest.raises(ModelError, match="cannot pass the poolings"):
                module(torch.rand(1, 1, *shape))
        else:
            assert module(torch.rand(1, 1, *shape)).shape[2:] == field.scores_shape(shape)


def test_the_papers_network_has_the_papers_numbers() -> None:
    assert PAPER.border == PAPER.halo == (92, 92)
    assert PAPER.stride == (16, 16)
    assert PAPER.scores_shape((572, 572)) == (388, 388)
    assert PAPER.input_shape((388, 388)) == (572, 572)
    assert PAPER.input_shape((389, 388)) == (588, 572)


@pytest.mark.parametrize(
    ("size", "nearest"),
    [
        (573, "nearest to 573 are 572 and 588"),
        (571, "nearest to 571 are 556 and 572"),
        (184, "nearest to 184 is 188"),  # its scores would be empty
        (12, "nearest to 12 is 188"),  # of the right remainder, but far too small
    ],
)
def test_a_size_that_does_not_pass_is_refused_with_sizes_that_do(size: int, nearest: str) -> None:
    with pytest.raises(ModelError, match=rf"axis 1 takes sizes of 16·k \+ 12.*{nearest}"):
        PAPER.check_input((572, size))


@pytest.mark.parametrize(
    ("chain", "message"),
    [
        ([Layer("conv", 2)], "an odd number"),
        ([Layer("pool", 2)], "2 input voxels wide: not a segmentation"),
        ([Layer("up", 2), Layer("pool", 2)], "up-convolution by 2 on a grid of 1"),
        ([Layer("pool", 2), Layer("up", 3)], "up-convolution by 3 on a grid of 2"),
    ],
)
def test_chains_off_the_voxel_grid_are_refused(chain: list[Layer], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        ReceptiveField.of_chain(chain, ndim=2)


def test_a_halo_below_the_border_and_uneven_axes_are_refused() -> None:
    with pytest.raises(ModelError, match=r"halo \(1,\) is smaller than the border \(2,\)"):
        ReceptiveField((1,), (2,), (1,), (0,))
    with pytest.raises(ModelError, match="axes of different number"):
        ReceptiveField((1,), (2, 2), (2,), (0,))


def test_leading_axes_are_cut_voxel_by_voxel() -> None:
    volume = PAPER.with_leading_axes(2)
    assert volume.ndim == 4
    assert volume.input_shape((1, 3, 388, 388)) == (1, 3, 572, 572)
    assert volume.scores_shape((1, 3, 572, 572)) == (1, 3, 388, 388)
