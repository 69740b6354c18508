"""Laws of backends: all backends give the same scores."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cachetools import LRUCache
from torch import nn

from bigunet import Model, ModelDescription, Normalisation
from bigunet.errors import ModelError, OptionError
from bigunet.model.description import default_classes
from bigunet.model.inference import backend as backends
from bigunet.model.inference import openvino_module
from bigunet.model.inference.backend import choose_backend
from bigunet.model.inference.forward import Predictor
from bigunet.model.inference.inputs import GreyRange
from bigunet.model.inference.openvino_module import has_openvino
from bigunet.model.inference.turning import turned
from bigunet.model.networks.architectures import architecture_of, build
from bigunet.model.networks.fcn import FCNConfig
from bigunet.model.networks.sliding_window import SlidingWindowConfig
from bigunet.model.networks.unet import UNet, UNetConfig

needs_openvino = pytest.mark.skipif(not has_openvino(), reason="OpenVINO is not installed")
GREY = GreyRange((0.0,), (255.0,))
CONFIGS = {
    "unet": UNetConfig(width=4, depth=3, classes=3, batch_norm=True),
    "unet in 3D": UNetConfig(ndim=3, width=3, depth=2),
    "fcn": FCNConfig(width=4, depth=2, classes=2),
    "sliding-window": SlidingWindowConfig(width=4, depth=2, hidden=8),
}


def model_of(name: str, config: Any) -> Model:
    torch.manual_seed(0)
    module = build({"name": name.split()[0], "config": config.to_dict()}).initialise().eval()
    description = ModelDescription(
        name="random",
        architecture=architecture_of(module),
        classes=default_classes(config.classes),
        channels=("0",),
        normalisation=Normalisation("fixed", 0, 255),
    )
    return Model(module, description, digest="", receptive_field=config.receptive_field())


def tile_of(model: Model, kept: int, seed: int = 0) -> np.ndarray:
    shape = model.receptive_field.input_shape((kept,) * model.ndim)
    return np.random.default_rng(seed).integers(0, 256, (1, *shape), dtype=np.uint8)


def difference(scores: torch.Tensor, expected: torch.Tensor) -> float:
    """The largest difference, in standard deviations of the scores."""
    assert scores.shape == expected.shape
    return float((scores - expected).abs().max() / expected.std())


@needs_openvino
@pytest.mark.parametrize("name", CONFIGS)
def test_openvino_gives_the_scores_of_torch(name: str) -> None:
    model = model_of(name, CONFIGS[name])
    ours = Predictor(model, GREY, backend="openvino")
    reference = Predictor(model, GREY, backend="torch")
    for kept in (8, 20, 8):
        tile = tile_of(model, kept, seed=kept)
        assert difference(ours.scores(tile), reference.scores(tile)) < 1e-4


@needs_openvino
def test_openvino_in_bf16_is_near() -> None:
    model = model_of("unet", CONFIGS["unet"])
    tile = tile_of(model, 40)
    expected = Predictor(model, GREY, backend="torch").scores(tile)
    lower = Predictor(model, GREY, backend="openvino", precision="bf16").scores(tile)
    assert 0 < difference(lower, expected) < 0.2


@needs_openvino
def test_turns_go_through_openvino_one_by_one() -> None:
    model = turned(model_of("unet", CONFIGS["unet"]))
    tile = tile_of(model, 24)
    expected = Predictor(model, GREY, backend="torch").scores(tile)
    ours = Predictor(model, GREY, backend="auto")
    assert ours.backend == "openvino"
    assert difference(ours.scores(tile), expected) < 1e-4


@needs_openvino
def test_scores_outlive_the_next_tile() -> None:
    model = model_of("unet", CONFIGS["unet"])
    ours = Predictor(model, GREY, backend="openvino")
    first = ours.scores(tile_of(model, 8, seed=1))
    kept = first.clone()
    ours.scores(tile_of(model, 8, seed=2))
    assert torch.equal(first, kept)


@needs_openvino
def test_threads_do_not_overwrite_the_scores_of_one_another() -> None:
    model = model_of("unet", CONFIGS["unet"])
    ours = Predictor(model, GREY, backend="openvino", threads=1)
    tiles = [tile_of(model, 16, seed) for seed in range(8)]
    inner = (slice(0, 16),) * 2
    alone = [ours.predict(tile, inner).labels for tile in tiles]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda tile: ours.predict(tile, inner).labels, tiles * 4))
    for number, labels in enumerate(together):
        np.testing.assert_array_equal(labels, alone[number % 8])


@needs_openvino
def test_threads_of_openvino_are_not_bound_to_cores() -> None:
    model = model_of("unet", CONFIGS["unet"])
    predictor = Predictor(model, GREY, backend="openvino", threads=1)
    predictor.scores(tile_of(model, 32))
    module: Any = predictor._module
    (compiled,) = module._compiled.values()
    # Otherwise all processes would bind their threads to the same cores.
    assert compiled.get_property("ENABLE_CPU_PINNING") is False


def test_auto_takes_openvino_for_networks_of_ours_only(monkeypatch: pytest.MonkeyPatch) -> None:
    unet, other = UNet(UNetConfig(width=2, depth=1)), nn.Conv2d(1, 2, 3)
    for installed, expected in ((True, "openvino"), (False, "torch")):
        monkeypatch.setattr(backends, "has_openvino", lambda installed=installed: installed)
        assert choose_backend("auto", unet, device="cpu", precision="fp32") == expected
        assert choose_backend("auto", other, device="cpu", precision="fp32") == "torch"
        assert choose_backend("auto", unet, device="cuda:0", precision="fp32") == "torch"
        assert choose_backend("auto", unet, device="cpu", precision="bf16") == expected
        assert choose_backend("auto", unet, device="cpu", precision="fp16") == "torch"


def test_openvino_that_cannot_run_is_an_error_of_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    unet = UNet(UNetConfig(width=2, depth=1))
    with pytest.raises(OptionError, match="runs on the CPU here, not on cuda"):
        choose_backend("openvino", unet, device="cuda", precision="fp32")
    monkeypatch.setattr(backends, "has_openvino", lambda: False)
    with pytest.raises(OptionError, match=r"pip install -e '\.\[openvino\]'"):
        choose_backend("openvino", unet, device="cpu", precision="fp32")
    with pytest.raises(OptionError, match="known: auto, torch, compile"):
        choose_backend("onnx", unet, device="cpu", precision="fp32")  # type: ignore[arg-type]


@needs_openvino
def test_a_network_that_openvino_cannot_run_is_an_error_of_one_line() -> None:
    model = model_of("unet", CONFIGS["unet"])
    with pytest.raises(OptionError, match="fp32 or bf16 or int8, not in fp16"):
        Predictor(model, GREY, backend="openvino", precision="fp16")

    class Sorts(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.linalg.eigvals(x[0, 0, :4, :4]).real * torch.cat((x, x), dim=1)[..., :4]

    with pytest.raises(ModelError, match="OpenVINO cannot run this network"):
        backends.with_backend(Sorts(), "openvino", in_channels=1, sample_shape=(4, 4),
                              precision="fp32", threads=1)  # fmt: skip


def test_no_telemetry_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    telemetry = pytest.importorskip("openvino_telemetry")

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("OpenVINO's telemetry was begun")

    monkeypatch.setattr(telemetry.Telemetry, "__init__", refuse)
    monkeypatch.setattr(telemetry.Telemetry, "send_event", refuse)
    monkeypatch.setattr(telemetry.Telemetry, "start_session", refuse)
    model = model_of("unet", CONFIGS["unet"])
    Predictor(model, GREY, backend="openvino").scores(tile_of(model, 8))


_QUIET = """
import socket, sys, threading, urllib.request
calls = []
def note(*given, **named):
    calls.append(given)
    raise OSError("no network here")
socket.socket.connect = socket.create_connection = urllib.request.urlopen = note
import torch
from bigunet.model.inference.openvino_module import OpenVinoModule, has_openvino
assert has_openvino()
module = OpenVinoModule(
    torch.nn.Conv2d(1, 2, 3).eval(), in_channels=1, sample_shape=(8, 8), precision="fp32", threads=1
)
assert module(torch.zeros(1, 1, 8, 8)).shape == (1, 2, 6, 6)
for thread in threading.enumerate():
    if thread is not threading.main_thread():
        thread.join(5)
print(calls, [name for name in sys.modules if name.startswith("openvino_telemetry")])
"""


@needs_openvino
def test_openvino_writes_nothing_into_home_and_sends_nothing(tmp_path: Path) -> None:
    environment = os.environ | {"HOME": str(tmp_path)}
    # With these variables set, telemetry would be off in any case.
    for name in ("CI", "TF_BUILD", "JENKINS_URL", "GITHUB_ACTIONS"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-c", _QUIET], env=environment, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("[] []\n", "")
    assert list(tmp_path.rglob("*")) == []


@needs_openvino
def test_each_network_is_traced_once_in_a_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Each trace leaves memory in torch that is not freed before Python ends.
    traced = []

    def converted(module: nn.Module, sample: torch.Tensor) -> Any:
        traced.append(module)
        return convert(module, sample)

    convert = openvino_module._converted
    monkeypatch.setattr(openvino_module, "_converted", converted)
    monkeypatch.setattr(openvino_module, "_graphs", LRUCache(4))
    image = torch.rand(1, 1, 44, 44)
    networks = [UNet(UNetConfig(width=2, depth=2, classes=2)).initialise().eval() for _ in "ab"]
    for module in (*networks, *networks):
        run = openvino_module.OpenVinoModule(
            module, in_channels=1, sample_shape=(44, 44), precision="fp32", threads=1
        )
        with torch.inference_mode():
            torch.testing.assert_close(run(image), module(image))
    assert traced == networks
    assert len(openvino_module._graphs) == 2
