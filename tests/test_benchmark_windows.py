"""The windows that most people run: where they lie, and what they give."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
import windows
from hypothesis import given
from hypothesis import strategies as st

from bigunet import UNet, UNetConfig


@given(st.integers(1, 300), st.integers(0, 300))
def test_windows_cover_an_axis_and_overlap_by_half_at_least(window: int, more: int) -> None:
    extent = window + more
    begun = windows.starts(extent, window)
    assert begun[0] == 0
    assert begun[-1] == extent - window
    most = max(1, window // 2)
    assert all(0 < b - a <= most for a, b in itertools.pairwise(begun))


@given(st.lists(st.integers(1, 40), min_size=1, max_size=3))
def test_weights_are_symmetric_positive_and_largest_in_the_middle(shape: list[int]) -> None:
    weights = windows.gaussian(shape)
    assert weights.shape == tuple(shape)
    assert float(weights.min()) >= 1e-3 * float(weights.max()) * 0.999
    for axis in range(len(shape)):
        torch.testing.assert_close(weights, weights.flip(axis))
    assert weights[tuple(n // 2 for n in shape)] == weights.max()


def test_one_window_gives_the_labels_of_one_padded_pass_and_several_agree_inside() -> None:
    torch.manual_seed(0)
    network = UNet(UNetConfig(width=2, depth=1)).initialise().eval()
    padded = windows.Padded(network)
    pixels = torch.randint(0, 256, (48, 64), dtype=torch.uint8)
    with torch.inference_mode():
        scores = padded(pixels[None, None].float() / 255)[0]
        whole = windows.blended_labels(pixels, padded, (48, 64), classes=2)
        tiled = windows.blended_labels(pixels, padded, (32, 32), classes=2)
        valid = network(pixels[None, None].float() / 255)[0]
    assert np.array_equal(whole, scores.argmax(0))
    assert (tiled != whole).float().mean() < 0.2
    # Padding changes nothing within the border of the valid network.
    border = (scores.shape[-1] - valid.shape[-1]) // 2
    torch.testing.assert_close(scores[:, border:-border, border:-border], valid)


@given(
    st.lists(st.integers(1, 90), min_size=1, max_size=3),
    st.integers(1, 40),
    st.integers(0, 100),
    st.integers(0, 4),
)
def test_windows_begin_at_whole_strides_from_the_first_voxel_of_the_wider_image(
    shape: list[int], halves: int, border: int, depth: int
) -> None:
    stride = 2**depth
    window = [2 * stride * halves] * len(shape)
    added = windows.margins(shape, window, border=border, stride=stride)
    whole = [a + n + b for (a, b), n in zip(added, shape)]
    assert all(n >= w for n, w in zip(whole, window))
    for box in itertools.islice(windows.boxes(whole, window), 50):
        assert all(part.start % stride == 0 for part in box)
    assert all(0 <= first < stride and after >= 0 for first, after in added)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_far_from_the_borders_a_padded_window_has_the_scores_of_one_pass(depth: int) -> None:
    torch.manual_seed(depth)
    network = UNet(UNetConfig(width=2, depth=depth)).initialise().eval()
    field = network.config.receptive_field()
    border, stride = field.border[0], field.stride[0]
    halo = field.halo[0] + stride
    shape = (2 * halo + 9, 2 * halo + 12)
    image = np.random.default_rng(0).random(shape, dtype=np.float32)
    after = [field.input_shape((n,))[0] - border - n for n in shape]
    one_pass = np.pad(image, [(border, extra) for extra in after], mode="reflect")
    added = windows.margins(shape, (stride, stride), border=border, stride=stride)
    with torch.inference_mode():
        exact = network(torch.from_numpy(one_pass)[None, None])[0]
        padded = windows.Padded(network)(torch.from_numpy(np.pad(image, added))[None, None])[0]
    inner = tuple(slice(halo, n - halo) for n in shape)
    shifted = tuple(slice(a + halo, a + n - halo) for (a, _), n in zip(added, shape))
    torch.testing.assert_close(
        padded[(slice(None), *shifted)], exact[(slice(None), *inner)], atol=1e-4, rtol=1e-4
    )
