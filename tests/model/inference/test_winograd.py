"""Laws of Winograd's method: it gives what direct convolution gives, up to rounding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bigunet import Model, load_model
from bigunet.errors import OptionError
from bigunet.model.inference import convolution as convolutions
from bigunet.model.inference.convolution import replaceable, usual_layers, with_convolution
from bigunet.model.inference.forward import Predictor
from bigunet.model.inference.inputs import GreyRange
from bigunet.model.inference.turning import turned
from bigunet.model.inference.winograd import Cores, WinogradConv, can_replace

GREY = GreyRange((0.0,), (255.0,))
CORES = {1: Cores(1), 3: Cores(3)}
NETWORKS: dict[str, dict[str, Any]] = {
    "unet": {"width": 32, "depth": 2},
    "unet in 3D": {"ndim": 3, "width": 16, "depth": 1},
    "fcn": {"architecture": "fcn", "width": 32, "depth": 2},
}


@pytest.fixture(params=NETWORKS)
def model(request: pytest.FixtureRequest, tmp_path: Path, write_model: Any) -> Model:
    return load_model(write_model(tmp_path / "m.safetensors", **NETWORKS[request.param]))


def tile_of(model: Model, kept: int) -> np.ndarray:
    shape = model.receptive_field.input_shape((kept,) * model.ndim)
    return np.random.default_rng(0).integers(0, 256, (1, *shape), dtype=np.uint8)


def difference(scores: torch.Tensor, expected: torch.Tensor) -> float:
    """The largest difference, in standard deviations of the scores."""
    assert scores.shape == expected.shape
    return float((scores - expected).abs().max() / expected.std())


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_convolution_gives_the_results_of_torch(data: st.DataObject) -> None:
    ndim = data.draw(st.sampled_from([2, 3]))
    inputs, outputs = data.draw(st.integers(8, 40)), data.draw(st.integers(8, 40))
    shape = data.draw(st.tuples(*[st.integers(3, 40 if ndim == 2 else 20)] * ndim))
    batch, seed = data.draw(st.integers(1, 2)), data.draw(st.integers(0, 9))
    padding, bias, relu = data.draw(st.integers(0, 1)), *data.draw(st.tuples(*[st.booleans()] * 2))
    torch.manual_seed(seed)
    kind = nn.Conv2d if ndim == 2 else nn.Conv3d
    conv = kind(inputs, outputs, 3, padding=padding, bias=bias)
    image = torch.randn(batch, inputs, *shape)
    with torch.inference_mode():
        expected = conv.double()(image.double())
        results = WinogradConv(conv.float(), CORES[3], relu=relu)(image)
    assert results.dtype == torch.float32
    expected = expected.relu() if relu else expected
    scale = max(float(expected.std()) if expected.numel() > 1 else 0.0, 0.1)
    assert float((results - expected).abs().max()) < 3e-5 * scale


@pytest.mark.parametrize("shape", [(1, 33, 90, 70), (1, 33, 40, 17, 21)])
def test_the_number_of_cores_changes_no_byte(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    conv = (nn.Conv2d if len(shape) == 4 else nn.Conv3d)(33, 9, 3)
    image = torch.randn(shape)
    one, three = (WinogradConv(conv, cores, relu=True)(image) for cores in CORES.values())
    assert torch.equal(one, three)


def test_nan_and_infinity_stay_visible() -> None:
    image = torch.zeros(1, 8, 20, 20)
    image[0, 2, 10, 10] = torch.nan
    assert WinogradConv(nn.Conv2d(8, 8, 3), CORES[1], relu=True)(image).isnan().any()


def test_an_error_of_a_core_is_raised_when_no_core_computes_any_more() -> None:
    done: list[int] = []

    def work(item: int) -> None:
        if item == 1:
            raise MemoryError("ends")
        done.append(item)

    with pytest.raises(MemoryError, match="ends"):
        CORES[3].do_all(work, range(9))
    assert sorted(done) == [0, *range(2, 9)]


def test_the_number_of_threads_of_torch_stays_as_it_was() -> None:
    before = torch.get_num_threads()
    Cores(2)
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("layer", "possible"),
    [
        (nn.Conv2d(8, 8, 3), True),
        (nn.Conv2d(7, 8, 3), False),
        (nn.Conv2d(8, 7, 3), False),
        (nn.Conv3d(8, 8, 3, padding=1), True),
        (nn.Conv2d(8, 8, 3, padding="valid"), False),
        (nn.Conv2d(8, 8, 3, stride=2), False),
        (nn.Conv2d(8, 8, 3, dilation=2), False),
        (nn.Conv2d(8, 8, 3, groups=2), False),
        (nn.Conv2d(8, 8, (3, 1)), False),
        (nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect"), False),
        (nn.ConvTranspose2d(8, 8, 3), False),
        (nn.ReLU(), False),
    ],
    ids=str,
)
def test_only_what_winograd_computes_is_replaced(layer: nn.Module, possible: bool) -> None:
    assert can_replace(layer) == possible


def test_a_layer_with_a_hook_is_not_replaced() -> None:
    module = nn.Sequential(nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 3))
    module[0].register_forward_hook(lambda *_: None)
    assert list(replaceable(module)) == ["1"]


def test_a_network_gives_its_scores(model: Model) -> None:
    assert usual_layers(model.module)
    for kept in (16, 23):
        tile = tile_of(model, kept)
        ours = Predictor(model, GREY, convolution="winograd")
        assert ours.backend == "torch"
        assert 0 < difference(ours.scores(tile), Predictor(model, GREY).scores(tile)) < 1e-4


def test_turns_go_through_winograd_too(model: Model) -> None:
    averaged = turned(model)
    tile = tile_of(averaged, 16)
    ours = Predictor(averaged, GREY, convolution="winograd").scores(tile)
    assert difference(ours, Predictor(averaged, GREY).scores(tile)) < 1e-4


def test_named_layers_alone_are_computed_so(model: Model) -> None:
    name = usual_layers(model.module)[-1]
    ours = Predictor(model, GREY, convolution=f"winograd:{name}")
    # A network whose batch normalisations were folded has its ReLU within the convolution.
    replaced = [n for n, layer in ours._module.named_modules() if isinstance(layer, WinogradConv)]
    assert replaced == [name]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"convolution": "winograd:head"}, "no 3-wide convolution head: give --convolution"),
        ({"backend": "openvino"}, "leave out --backend openvino"),
        ({"precision": "bf16"}, "not in torch on cpu in bf16: give --device cpu"),
    ],
)
def test_what_a_worker_cannot_compute_is_refused(
    tiny_model: Path, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(OptionError, match=says):
        Predictor(load_model(tiny_model), GREY, **{"convolution": "winograd"} | changes)


def test_a_worker_without_numba_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolutions, "has_winograd", lambda: False)
    with pytest.raises(OptionError, match=r"needs numba: pip install -e '\.\[winograd\]'"):
        with_convolution(
            nn.Conv2d(2, 2, 3), "winograd", backend="torch", device="cpu", precision="fp32",
            threads=1,
        )  # fmt: skip
