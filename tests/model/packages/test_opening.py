"""Packages as models: their output is that of a plain pass over the whole image."""

import numpy as np
import pytest
import torch
import yaml
import zarr
from support.model_packages import description, onnx_conv, onnx_package, sha256, write_package

import bigunet
from bigunet import BigUNetError, load_model

ZERO_MEAN = {"id": "zero_mean_unit_variance", "kwargs": {"axes": ["y", "x"], "eps": 1e-6}}
SOURCE = b"""
from torch import nn
class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.conv = nn.Conv2d(1, classes, 3, padding=1)
    def forward(self, image):
        return self.conv(image)[:, :, None]
"""


def plain(package, image: np.ndarray) -> np.ndarray:
    """Logits (class, y, x) of a plain pass with zero padding, in float64."""
    from onnx import load, numpy_helper

    weight, bias = (
        numpy_helper.to_array(t) for t in load(package / "weights.onnx").graph.initializer
    )
    x = torch.from_numpy((image - image.mean()) / (image.std() + 1e-6))[None, None]
    w, b = (torch.from_numpy(v.astype(np.float64)) for v in (weight, bias))
    return torch.nn.functional.conv2d(x, w, b, padding=1)[0].numpy()


def test_a_package_is_segmented_as_in_one_pass(client, tmp_path) -> None:
    image = np.random.default_rng(0).gamma(2, 200, (90, 70)).astype(np.uint16)
    zarr.create_array(str(tmp_path / "in.zarr"), data=image, chunks=(32, 32))
    package = onnx_package(tmp_path / "package", preprocessing=[ZERO_MEAN])
    bigunet.segment(
        tmp_path / "in.zarr", tmp_path / "out.zarr", model=package, client=client,
        outputs=("classes", "probabilities"), block_shape=(32, 32), no_report=True,
    )  # fmt: skip
    labels = zarr.open_array(str(tmp_path / "out.zarr/labels/classes/0"), mode="r")[:]
    shares = zarr.open_array(str(tmp_path / "out.zarr/probabilities/0"), mode="r")[:]
    logits = plain(package, image.astype(np.float64))[0]
    inner, firm = (slice(1, -1),) * 2, np.abs(logits) > 1e-4
    assert 0.05 < (logits > 0).mean() < 0.95
    assert np.array_equal(labels[inner][firm[inner]], (logits > 0)[inner][firm[inner]])
    expected = 255 / (1 + np.exp(-logits))
    assert np.abs(shares[1] - expected)[inner].max() <= 0.5 + 1e-2
    made = bigunet.info(tmp_path / "out.zarr")["made"]["normalisation"]
    assert made["kind"] == "steps"
    assert made["values_low"][0] == pytest.approx(image.mean(), rel=1e-12)
    assert bigunet.verify(tmp_path / "in.zarr", tmp_path / "out.zarr", model=package).passed


def test_several_sigmoids_have_a_background(tmp_path) -> None:
    model = load_model(onnx_package(tmp_path, classes=2))
    assert [one.name for one in model.description.classes] == ["background", "class0", "class1"]
    assert model.scores == "probabilities"
    with torch.inference_mode():
        shares = model.module(torch.randn(1, 1, 9, 9))[0]
    assert shares.shape == (3, 9, 9)
    assert torch.allclose(shares[0], 1 - shares[1:].amax(dim=0))


def test_python_of_a_package_runs_only_with_trust(tmp_path) -> None:
    state = {"conv.weight": torch.randn(1, 1, 3, 3), "conv.bias": torch.zeros(1)}
    torch.save(state, tmp_path / "net.pt")
    data = description()
    # The output has an axis z of one voxel, which the image has not.
    data["outputs"][0]["axes"].insert(2, {"type": "space", "id": "z", "size": 1})
    built = {
        "source": "net.py",
        "sha256": sha256(SOURCE),
        "callable": "Net",
        "kwargs": {"classes": 1},
    }
    data["weights"] = {"pytorch_state_dict": {"source": "net.pt", "architecture": built}}
    write_package(tmp_path, data, net_py=SOURCE)
    with pytest.raises(BigUNetError, match=r"net\.py would run Python of the package"):
        load_model(tmp_path)
    image = torch.randn(1, 1, 9, 9)
    with torch.inference_mode():
        scores = load_model(tmp_path, trust=True).module(image)
    expected = torch.nn.functional.conv2d(image, state["conv.weight"], padding=1)
    assert torch.allclose(scores, expected, atol=1e-6)


def test_a_state_dict_with_more_than_tensors_is_never_unpickled(tmp_path) -> None:
    torch.save({"conv.weight": torch.zeros(1), "model": SystemExit}, tmp_path / "net.pt")
    data = description()
    built = {"source": "net.py", "callable": "Net", "kwargs": {"classes": 1}}
    data["weights"] = {"pytorch_state_dict": {"source": "net.pt", "architecture": built}}
    write_package(tmp_path, data, net_py=SOURCE)
    with pytest.raises(BigUNetError, match="holds more than tensors"):
        load_model(tmp_path, trust=True)


@pytest.mark.parametrize("pad", [1, 3])
def test_a_stated_halo_is_compared_with_the_measured_one(tmp_path, pad) -> None:
    weights = onnx_conv(size=2 * pad + 1, pad=pad)
    data = description(weights=weights)
    for axis in data["outputs"][0]["axes"][2:]:
        axis["halo"] = 1
    model = load_model(write_package(tmp_path, data, weights_onnx=weights))
    assert model.receptive_field.halo == (pad, pad)
    assert ("halo" in model.description.card) is (pad == 3)


def test_a_network_that_is_not_exact_is_refused_and_blended_on_request(tmp_path) -> None:
    weights = onnx_conv(mixing=True)
    data = description(weights=weights)
    for axis in data["inputs"][0]["axes"][2:]:
        axis["size"] = 32
    package = write_package(tmp_path, data, weights_onnx=weights)
    with pytest.raises(BigUNetError, match="give --blend and --tile-shape"):
        load_model(package)
    model = load_model(package, blend=True)
    assert (model.exact, model.tile_shape) == (False, (32, 32))


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_torchscript_of_a_package_runs_only_with_trust(tmp_path) -> None:
    torch.manual_seed(0)
    network = torch.nn.Conv2d(1, 1, 3, padding=1)
    torch.jit.script(network).save(tmp_path / "net.pt")
    data = description(weights=b"")
    data["weights"] = {"torchscript": {"source": "net.pt"}}
    write_package(tmp_path, data)
    with pytest.raises(BigUNetError, match="can read and write your files: give --trust"):
        load_model(tmp_path)
    image = torch.randn(1, 1, 9, 9)
    with torch.inference_mode():
        assert torch.equal(load_model(tmp_path, trust=True).module(image), network(image))


def named(folder, names: list[str], step: str):
    package = onnx_package(folder, classes=len(names), postprocessing=[{"id": step}])
    data = yaml.safe_load((package / "rdf.yaml").read_text())
    data["outputs"][0]["axes"][1]["channel_names"] = names
    (package / "rdf.yaml").write_text(yaml.safe_dump(data))
    return package


def test_a_background_that_is_not_first_becomes_class_0(tmp_path) -> None:
    first = load_model(named(tmp_path / "a", ["Background", "nucleus", "border"], "softmax"))
    later = load_model(named(tmp_path / "b", ["nucleus", "Background", "border"], "softmax"))
    assert [one.name for one in later.description.classes] == ["Background", "nucleus", "border"]
    image = torch.randn(1, 1, 9, 9)
    with torch.inference_mode():
        plain, moved = (model.module(image)[0] for model in (first, later))
    assert torch.allclose(moved, plain[[1, 0, 2]])


@pytest.mark.parametrize(
    ("names", "step", "message"),
    [
        (["background"], "sigmoid", "only channel is the background"),
        (["nucleus", "background"], "sigmoid", "background"),
        (["nucleus", "nucleus"], "softmax", "two channels.*nucleus"),
    ],
)
def test_channels_that_contradict_the_classes_are_refused(tmp_path, names, step, message) -> None:
    with pytest.raises(BigUNetError, match=message):
        load_model(named(tmp_path, names, step))


def test_probabilities_that_are_not_the_packages_are_refused(tmp_path) -> None:
    zarr.create_array(str(tmp_path / "in.zarr"), data=np.zeros((40, 40), np.uint8))
    steps = [{"id": "sigmoid"}, {"id": "binarize", "kwargs": {"threshold": 0.1}}]
    package = onnx_package(tmp_path / "package", postprocessing=steps)
    with pytest.raises(BigUNetError, match=r"binarize.*leave out probabilities"):
        bigunet.plan(tmp_path / "in.zarr", model=package, outputs=("classes", "probabilities"))
    assert bigunet.plan(tmp_path / "in.zarr", model=package).options.outputs == ("classes",)


@pytest.mark.parametrize("masked", [False, True])
def test_statistics_are_those_of_the_segmented_voxels(tmp_path, client, masked) -> None:
    left = np.random.default_rng(0).integers(90, 110, (64, 64))
    image = np.concatenate((left, left + 1000), axis=1).astype(np.uint16)
    zarr.create_array(str(tmp_path / "in.zarr"), data=image, chunks=(32, 32))
    mask = np.zeros(image.shape, np.uint8)
    mask[:, :50] = 1
    zarr.create_array(str(tmp_path / "mask.zarr"), data=mask, chunks=(32, 32))
    package = onnx_package(tmp_path / "package", preprocessing=[ZERO_MEAN])
    chosen = {"mask": str(tmp_path / "mask.zarr")} if masked else {"roi": {"x": (0, 50)}}
    bigunet.segment(
        tmp_path / "in.zarr", tmp_path / "out.zarr", model=package, client=client,
        outputs=("classes",), no_report=True, **chosen,
    )  # fmt: skip
    made = bigunet.info(tmp_path / "out.zarr")["made"]["normalisation"]
    assert made["values_low"][0] == pytest.approx(left[:, :50].mean(), rel=1e-12)
    assert made["statistics"].endswith("of the segmented voxels of level 0")
