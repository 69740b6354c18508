"""Laws of the sliding window: the dense form has the scores of each window by itself."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bigunet.errors import ModelError, OptionError
from bigunet.model.networks.sliding_window import (
    SlidingWindow,
    SlidingWindowConfig,
    classify_windows,
)


def classifier(config: SlidingWindowConfig, seed: int = 0) -> SlidingWindow:
    torch.manual_seed(seed)
    return SlidingWindow(config).initialise().eval().double()


@settings(deadline=None, max_examples=25)
@given(
    config=st.builds(
        SlidingWindowConfig,
        in_channels=st.integers(1, 3),
        classes=st.integers(1, 4),
        width=st.integers(1, 6),
        depth=st.integers(1, 4),
        hidden=st.integers(1, 9),
        dropout=st.just(0.5),
    ),
    count=st.integers(1, 2),
    inner=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    batch=st.integers(1, 500),
    seed=st.integers(0, 9),
)
def test_dense_scores_are_those_of_each_window_by_itself(
    config: SlidingWindowConfig, count: int, inner: tuple[int, int], batch: int, seed: int
) -> None:
    module = classifier(config, seed)
    size = tuple(n + config.window - 1 for n in inner)
    image = torch.rand(count, config.in_channels, *size).double()
    with torch.inference_mode():
        dense = module(image)
    scores = classify_windows(module, image, batch=batch)
    assert scores.shape == dense.shape == (count, config.classes, *inner)
    assert torch.allclose(scores, dense, rtol=0, atol=1e-9 * max(1, float(dense.abs().max())))


def test_windows_and_the_dense_form_train_the_same_weights() -> None:
    config = SlidingWindowConfig(width=3, depth=2, hidden=4)
    image = torch.rand(1, 1, config.window + 3, config.window + 2).double()
    gradients = []
    for dense in (True, False):
        module = classifier(config)
        windows = image.unfold(2, config.window, 1).unfold(3, config.window, 1)
        windows = windows.reshape(-1, 1, config.window, config.window)
        scores = module(image) if dense else module.score_windows(windows)
        scores.square().sum().backward()
        gradients.append([p.grad for p in module.parameters()])
    for a, b in zip(*gradients):
        assert a is not None
        assert a.any()
        assert torch.allclose(a, b)


def test_the_largest_network_of_the_paper_has_the_maps_of_the_paper() -> None:
    config = SlidingWindowConfig()
    module = SlidingWindow(config).eval()
    maps: list[int] = []
    for conv in (*module.stages, module.hidden):
        conv.register_forward_hook(
            lambda _, given, output: maps.extend((given[0].shape[-1], output.shape[-1]))
        )
    scores = module.score_windows(torch.rand(1, 1, 95, 95))
    assert scores.shape == (1, 2)
    assert maps == [95, 92, 46, 42, 21, 18, 9, 6, 3, 1]
    assert [conv.out_channels for conv in (*module.stages, module.hidden)] == [48] * 4 + [200]


@pytest.mark.parametrize(("depth", "window"), [(1, 9), (2, 23), (3, 47), (4, 95), (5, 191)])
def test_the_classified_pixel_is_the_centre_of_the_window(depth: int, window: int) -> None:
    config = SlidingWindowConfig(depth=depth)
    field = config.receptive_field()
    assert config.window == window == 2 * field.border[0] + 1
    assert field.border == field.halo
    assert field.stride == (1, 1)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_pixel_acts_on_the_windows_that_hold_it_and_on_no_other(depth: int) -> None:
    config = SlidingWindowConfig(depth=depth, width=2, hidden=2)
    module, half = classifier(config), config.window // 2
    size = 3 * config.window
    image = torch.rand(1, 1, size, size).double()
    middle = size // 2
    image[0, 0, middle, middle] = torch.nan
    with torch.inference_mode():
        hit = torch.isnan(module(image)[0, 0])
    at = middle - half  # an index of scores, which begin half a window inside the image
    expected = torch.zeros_like(hit)
    expected[at - half : at + half + 1, at - half : at + half + 1] = True
    assert torch.equal(hit, expected)


@pytest.mark.parametrize("shape", [(22, 23), (24, 24), (46, 46)])
def test_windows_of_another_size_are_refused(shape: tuple[int, int]) -> None:
    module = classifier(SlidingWindowConfig(depth=2))
    with pytest.raises(ModelError, match=rf"windows of \({shape[0]}, .* of \(23, 23\)"):
        module.score_windows(torch.rand(1, 1, *shape).double())


def test_images_below_a_window_and_empty_batches_are_refused() -> None:
    module = classifier(SlidingWindowConfig(depth=2))
    with pytest.raises(ModelError, match="nearest to 22 is 23"):
        classify_windows(module, torch.rand(1, 1, 22, 30).double())
    with pytest.raises(OptionError, match="batch is 0; give at least 1"):
        classify_windows(module, torch.rand(1, 1, 30, 30).double(), batch=0)


def test_gradients_in_bf16_with_channels_last_do_not_crash() -> None:
    torch.manual_seed(0)
    module = SlidingWindow(SlidingWindowConfig(width=24, depth=4, dropout=0.0)).initialise()
    module = module.to(memory_format=torch.channels_last)
    image = torch.rand(1, 1, 104, 104).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        scores = module(image)
    scores.float().square().mean().backward()
    for weight in module.parameters():
        assert weight.grad is not None
        assert torch.isfinite(weight.grad).all()
