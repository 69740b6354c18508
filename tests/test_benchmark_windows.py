"""The windows that most people run: where they lie, and what they give."""

from __future__ import annotations

import itertools

import numpy as np
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
