"""Laws of the networks that callers give: they run, or one line says what to do."""

from __future__ import annotations

import copy
import logging
import math
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from bigunet.errors import ModelError
from bigunet.model.given import check_finite
from bigunet.model.inference.forward import GreyRange, Predictor
from bigunet.model.model import Model

GREY = GreyRange((0.0,), (1.0,))
KINDS = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64)
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*torch.jit.*:DeprecationWarning", "ignore:.*quantiz.*"
)


def network(last: nn.Module | None = None) -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 2, 1)]
    return nn.Sequential(*layers, *([last] if last else [])).eval()


class Stepped(nn.Module):
    """A network with a step on its scores or on its image."""

    def __init__(self, after: Callable[[Tensor], Any], *, before: Any = lambda x: x) -> None:
        super().__init__()
        self.net, self.before, self.after = network(), before, after

    def forward(self, image: Tensor) -> Any:
        return self.after(self.net(self.before(image)))


class NeedsMore(nn.Module):
    def forward(self, image: Tensor, timestep: Tensor, context: Tensor) -> Tensor:
        return image


class Fickle(nn.Module):
    """A module that adds the number of its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.calls = network(), 0

    def forward(self, image: Tensor) -> Tensor:
        self.calls += 1
        return self.net(image) + self.calls


def with_value(value: float, name: str = "0.weight") -> nn.Module:
    module = network()
    with torch.no_grad():
        module.state_dict()[name].view(-1)[1] = value
    return module


def quantised() -> nn.Module:
    return nn.Sequential(torch.ao.nn.quantized.Conv2d(1, 2, 3))


def frozen() -> nn.Module:
    return torch.jit.freeze(torch.jit.script(network()))


@pytest.fixture(scope="module")
def tile() -> np.ndarray:
    return np.random.default_rng(0).random((1, 24, 24)).astype(np.float32)


def scores_of(model: Model, tile: np.ndarray) -> Tensor:
    return Predictor(model, GREY).scores(tile)


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda: torch.jit.script(network()),
        lambda: torch.jit.trace(network(), torch.zeros(1, 1, 32, 32)),
        lambda: nn.DataParallel(network()),
        lambda: torch.compile(network()),
        lambda: nn.DataParallel(torch.compile(network())),
        lambda: network().train(),
        lambda: Stepped(lambda scores: scores, before=lambda x: x.float()),
        lambda: Stepped(lambda scores: scores.float()),
        lambda: Stepped(lambda scores: scores.to(torch.float32)),
        lambda: nn.Sequential(torch.jit.script(network())),
        lambda: Stepped(lambda scores: scores, before=lambda x: x.mul_(1.0)),
    ],
    ids=[
        *("script", "trace", "DataParallel", "compile", "both", "training", "cast before"),
        *("cast after", "cast by to", "script inside", "in place"),
    ],
)
def test_a_wrapped_network_gives_the_scores_of_the_network(
    wrapped: Callable[[], nn.Module], tile: np.ndarray
) -> None:
    plain = Model.of_module(network(), ndim=2)
    model = Model.of_module(wrapped(), ndim=2)
    assert model.receptive_field == plain.receptive_field
    assert torch.allclose(scores_of(model, tile), scores_of(plain, tile), rtol=0, atol=1e-6)


def test_torchscript_is_measured_copied_and_sent_to_workers(
    tmp_path: Path, tile: np.ndarray
) -> None:
    path = tmp_path / "script.pt"
    torch.jit.script(network(nn.Softmax(dim=1))).save(path)
    model = Model.of_module(torch.jit.load(path), ndim=2)
    again = pickle.loads(pickle.dumps(model))
    assert model.scores == again.scores == "probabilities"
    assert model.description.name == "Sequential"
    assert torch.equal(scores_of(model, tile), scores_of(again, tile))
    assert Model.of_module(torch.jit.load(path), ndim=2).digest == model.digest


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_in_other_floats_become_float32_with_a_warning(
    dtype: torch.dtype, tile: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    given = network().to(dtype)
    expected = Model.of_module(copy.deepcopy(given).float(), ndim=2)
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        model = Model.of_module(given, ndim=2)
    assert f"weights in {dtype}: bigunet computes with a copy in float32" in caplog.text
    assert torch.equal(scores_of(model, tile), scores_of(expected, tile))
    assert {p.dtype for p in given.parameters()} == {dtype}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda: Path("a/net.pt"), "'net.pt' is a path, not a module"),
        (lambda: {"model": 1, "epoch": 2}, r"a dict of 2 entries \('model', 'epoch', …\)"),
        (lambda: nn.Conv2d, "Conv2d is a class: give a module made of it"),
        (lambda: network().forward, "a method is no torch module"),
        (lambda: np.zeros(3), "a ndarray is no torch module"),
        (lambda: None, "a NoneType is no torch module"),
        (lambda: nn.ModuleList([network()]), r"ModuleList has no forward\(\)"),
        (NeedsMore, "NeedsMore.forward needs timestep, context besides the image: wrap it"),
        (lambda: with_value(float("nan")), "0.weight has 1 of 27 weights that are NaN"),
        (lambda: with_value(float("inf")), "0.weight has 1 of 27 weights that are NaN or inf"),
        (lambda: with_value(float("nan"), "1.running_var"), "1.running_var has 1 of 3 weights"),
        (lambda: network().to("meta"), "0.weight is on the meta device and has no values"),
        (lambda: nn.LazyConv2d(2, 3), "weight has no shape yet"),
        (quantised, r"layer '0' \(Conv2d\) is quantised: give the module before"),
        (lambda: nn.Sequential(nn.Conv2d(1, 2, 1), threading.Lock()), "is not a Module subclass"),
    ],
)
def test_an_object_that_is_no_usable_network_is_refused(
    given: Callable[[], Any], message: str
) -> None:
    try:
        made = given()
    except TypeError:
        return  # torch itself refuses this module
    with pytest.raises(ModelError, match=message) as caught:
        Model.of_module(made, ndim=2)
    assert len(str(caught.value)) <= 200


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda: Stepped(lambda s: (s, s)), "gives a tuple; it must give one tensor of scores"),
        (lambda: Stepped(lambda s: {"out": s}), "gives a dict; it must give one tensor of scores"),
        (lambda: Stepped(lambda s: [s]), "gives a list; it must give one tensor of scores"),
        (lambda: Stepped(lambda s: None), "gives a NoneType; it must give one tensor of scores"),
        (lambda: Stepped(lambda s: s[0]), "4 axes; it gives 3 axes"),
        (lambda: Stepped(lambda s: s.expand(2, -1, -1, -1)), r"gives \(2, 2, .* for one image"),
        (lambda: Stepped(lambda s: s * 1j), "gives complex numbers"),
        (lambda: Stepped(lambda s: s, before=lambda x: x / 0 * 0), "gives no finite score"),
        (lambda: nn.Conv2d(3, 2, 1), "Conv2d reads 3 channels, but the image is said to have 1"),
        (
            lambda: nn.Sequential(nn.Identity(), nn.Conv2d(4, 2, 1)),
            r"layer '1' \(Conv2d\) reads 4 channels.*give channels=\(...\) with 4 names",
        ),
        (lambda: nn.Conv3d(1, 2, 3, padding=1), "Conv3d reads images of 3 spatial axes.*ndim=3"),
        (lambda: nn.Conv3d(1, 1, 3, padding=1), "Conv3d reads images of 3 spatial axes.*ndim=3"),
        (lambda: nn.Linear(7, 2), r"takes no cubic tile of up to 768 voxels \(RuntimeError: "),
        (Fickle, "Tensor.add in Fickle, .*gives other scores for the same image when it runs"),
        (
            lambda: Stepped(lambda s: functional.dropout(s, 0.1, training=True)),
            r"functional\.dropout in Stepped, test_given\.py:\d+: gives other scores",
        ),
        (
            lambda: Stepped(lambda s: s + torch.randn_like(s)),
            r"torch\.randn_like in Stepped, test_given\.py:\d+: gives other scores",
        ),
        (frozen, "TorchScript froze its weights|takes no cubic tile"),
    ],
)
def test_a_network_without_scores_of_the_image_is_refused(
    given: Callable[[], nn.Module], message: str
) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        Model.of_module(given(), ndim=2)
    assert len(str(caught.value)) <= 200
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"ndim": 3}, "Conv2d.* reads images of 2 spatial axes, but is given 3.*give ndim=2"),
        ({"ndim": 4}, "a module of 4 spatial axes; .*give ndim=2 or 3"),
        ({"channels": ()}, r"channels is \(\); give a sequence of names"),
        ({"channels": 1}, "channels is 1; give a sequence of names"),
        ({"channels": ("a", "b")}, "layer '0' .*reads 1 channels, but the image is said to have 2"),
        ({"classes": 2}, "classes is 2; give a sequence of names"),
        ({"voxel_size_um": (0.5,)}, r"voxel_size_um is \(0\.5,\); give 2 or 3 positive numbers"),
        ({"voxel_size_um": (0.0, 1.0)}, "give 2 or 3 positive numbers"),
    ],
)
def test_keywords_that_do_not_fit_are_refused(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        Model.of_module(network(), **{"ndim": 2, **keywords})
    assert len(str(caught.value)) <= 200


def test_the_voxel_size_is_kept() -> None:
    model = Model.of_module(network(), ndim=2, voxel_size_um=[0.5, 0.25])
    assert model.description.voxel_size_um == (0.5, 0.25)


def test_a_mask_of_minus_infinity_is_no_damage() -> None:
    module = network()
    module.register_buffer("mask", torch.full((3, 3), -torch.inf))
    assert Model.of_module(module, ndim=2).scores == "logits"


@given(values=st.lists(st.floats(width=16), min_size=1), kind=st.sampled_from(KINDS))
def test_weights_that_are_not_finite_are_counted_in_each_type(
    values: list[float], kind: torch.dtype
) -> None:
    tensor = torch.tensor(values).to(kind)
    wrong = sum(not math.isfinite(value) for value in values)
    if not wrong:
        check_finite({"w": tensor})
        return
    with pytest.raises(ModelError, match=f"w has {wrong} of {len(values)} weights that are NaN"):
        check_finite({"w": tensor})
