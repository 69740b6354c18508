"""Networks of other tools as models: chosen by content, trusted first, the same on workers."""

from __future__ import annotations

import logging
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from support.onnx_graphs import Graph, noise
from torch import nn

import bigunet
from bigunet import load_model
from bigunet.errors import InexactError, ModelError

FACTORY = """
from torch import nn
from . import parts

def make():
    return parts.Net()

def wrong():
    return {}

def fails():
    raise KeyError("weights")
"""
PARTS = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(2, 3, 3, padding=1)

    def forward(self, image):
        return self.conv(image)
"""


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 3)).eval()


def write_onnx(path: Path) -> None:
    graph = Graph()
    name = graph.add("Conv", "image", noise(4, 1, 3, 3), pads=[1, 1, 1, 1])
    graph.add("Conv", graph.add("Relu", name), noise(2, 4, 3, 3))
    graph.write(path, shape=(1, 1, 256, 256))


def write_torchscript(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(net(), torch.rand(1, 1, 32, 32)), path)


def write_pt2(path: Path, module: nn.Module | None = None) -> None:
    logging.getLogger("torch").setLevel(logging.ERROR)
    torch.export.save(torch.export.export(module or net(), (torch.rand(1, 1, 32, 32),)), path)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package in the current folder that nothing else can import."""
    folder = tmp_path / "nets_here"
    folder.mkdir()
    for name, text in (("__init__", ""), ("parts", PARTS), ("unet", FACTORY)):
        (folder / f"{name}.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.mark.parametrize(
    ("write", "trust"),
    [
        (write_onnx, False),
        pytest.param(write_torchscript, True, marks=pytest.mark.slow),
        pytest.param(write_pt2, True, marks=pytest.mark.slow),
    ],
)
def test_the_content_chooses_and_the_field_is_measured(
    tmp_path: Path, write: Callable[[Path], None], trust: bool
) -> None:
    path = tmp_path / "unet.bin"
    write(path)
    model = load_model(path, trust=trust)
    assert model.receptive_field.border == (1, 1)
    assert model.receptive_field.halo == (2, 2)
    assert (model.description.name, model.path) == ("unet", str(path))
    assert model.assumed == ("normalisation", "classes")
    assert load_model(path, trust=trust).digest == model.digest
    image = torch.from_numpy(noise(1, 1, 20, 20))
    with torch.inference_mode():
        again = pickle.loads(pickle.dumps(model)).module(image)
        assert torch.equal(again, model.module(image))
        if write is not write_onnx:
            assert np.allclose(again, net()(image), atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("write", "why"), [(write_torchscript, "write your files"),
                                            (write_pt2, "can run code")])  # fmt: skip
def test_a_program_is_not_opened_without_trust(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], None], why: str
) -> None:
    write(tmp_path / "a.bin")
    monkeypatch.setattr(torch.jit, "load", lambda *_, **__: pytest.fail("it was opened"))
    monkeypatch.setattr(torch.export, "load", lambda *_, **__: pytest.fail("it was opened"))
    with pytest.raises(ModelError, match=rf"{why}.*--trust"):
        load_model(tmp_path / "a.bin")


@pytest.mark.slow
def test_a_program_of_one_shape_runs_blended_alone(tmp_path: Path) -> None:
    class Flat(nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return (image.reshape(1, 1, 1024) * 2).reshape(1, 1, 32, 32)

    path = tmp_path / "a.pt2"
    write_pt2(path, nn.Sequential(nn.Conv2d(1, 1, 1), Flat()))
    with pytest.raises(InexactError, match=r"runs on tiles of 32 × 32 only.*--blend"):
        load_model(path, trust=True)
    model = load_model(path, trust=True, blend=True)
    assert (model.exact, model.tile_shape) == (False, (32, 32))


def test_a_factory_is_imported_with_trust_alone(package: Path) -> None:
    with pytest.raises(ModelError, match=r"is code .*--trust"):
        load_model("nets_here.unet:make")
    assert "nets_here" not in sys.modules
    before = list(sys.path)
    model = load_model("nets_here.unet:make", trust=True)
    assert sys.path == before
    assert (model.in_channels, len(model.description.classes)) == (2, 3)
    assert model.path == "nets_here.unet:make"


@pytest.mark.slow
def test_a_process_in_another_folder_gets_the_code_of_a_factory(
    package: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    model = load_model("nets_here.unet:make", trust=True)
    other = tmp_path_factory.mktemp("worker")
    (other / "model.pickle").write_bytes(pickle.dumps(model))
    code = "import pickle; m = pickle.load(open('model.pickle', 'rb')); print(m.module, m.digest)"
    done = subprocess.run([sys.executable, "-c", code], cwd=other, capture_output=True, text=True)
    assert model.digest in done.stdout, done.stderr
    assert "Conv2d(2, 3" in done.stdout


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nets_here.unet:wrong", r"returned a dict; it must return a torch.nn.Module"),
        ("nets_here.unet:fails", r"failed: KeyError: 'weights'"),
        ("nets_here.unet:other", r"has no callable other"),
        ("nets_nowhere:make", r"No module named 'nets_nowhere'; the module must be installed"),
    ],
)
def test_a_factory_that_gives_no_network_is_refused(package: Path, name: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load_model(name, trust=True)


def test_a_model_of_bigunet_has_no_halo_to_state() -> None:
    with pytest.raises(ModelError, match="its halo is known; leave it out"):
        load_model("nuclei", halo=(64,))


def test_a_halo_for_a_module_is_given_where_the_module_is(tmp_path: Path) -> None:
    model = bigunet.Model.of_module(net(), ndim=2)
    np.save(tmp_path / "a.npy", np.zeros(1))
    with pytest.raises(bigunet.BigUNetError, match=r"a halo of 2 × 2, not of 9 × 9"):
        bigunet.predict(np.zeros((30, 30), np.uint8), model, axes="yx", halo=(9,))
