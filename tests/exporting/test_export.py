"""Exported packages: they compute what the model computes, and bigunet reads them as the model."""

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

import bigunet
from bigunet import BigUNetError, ModelDescription, Normalisation, load_model, save_model
from bigunet.exporting import unet_source
from bigunet.exporting.sample_tensors import normalised
from bigunet.model.description import default_classes
from bigunet.model.networks.architectures import architecture_of, build
from bigunet.model.networks.unet import UNet, UNetConfig

FIELDS = Path(bigunet.__file__).parent / "bundled/nuclei-fields"


@pytest.fixture
def model_path(tmp_path):
    """A model file of a small network with random weights."""

    def write(name: str = "unet", *, classes: int = 3, kind: str = "percentile", **numbers) -> Path:
        torch.manual_seed(0)
        config = {"ndim": 2, "in_channels": 1, "classes": classes, "width": 2, "depth": 1}
        module = build({"name": name, "config": config | numbers}).initialise()
        description = ModelDescription(
            name="small cells",
            architecture=architecture_of(module),
            classes=default_classes(max(classes, 2)),
            channels=("DAPI",),
            normalisation=Normalisation()
            if kind == "percentile"
            else Normalisation("fixed", 5, 900),
            voxel_size_um=(0.5, 0.5) if config.get("ndim") == 2 else None,
            card={"licence": "CC0-1.0", "data": "none"},
        )
        path = tmp_path / f"{name}{classes}.safetensors"
        save_model(path, module, description)
        return path

    return write


@pytest.fixture
def bigunet_command(request):
    """The fixture of the command; its name would hide the package."""
    return request.getfixturevalue("bigunet")


@settings(max_examples=8)
@given(
    st.sampled_from([2, 3]),
    st.integers(1, 2),
    st.integers(1, 3),
    st.integers(1, 2),
    st.booleans(),
)
def test_the_source_in_a_package_builds_the_network(ndim, channels, classes, depth, norm) -> None:
    config = UNetConfig(
        ndim=ndim, in_channels=channels, classes=classes, width=2, depth=depth, batch_norm=norm
    )
    ours = UNet(config).initialise().eval()
    other = unet_source.UNet(**config.to_dict()).eval()
    other.load_state_dict(ours.state_dict())
    field = config.receptive_field()
    image = torch.randn(1, channels, *field.input_shape(field.stride))
    with torch.inference_mode():
        assert torch.equal(ours(image), other(image))


def test_the_source_in_a_package_needs_torch_alone() -> None:
    text = Path(unet_source.__file__).read_text()
    modules = {line.split()[1] for line in text.splitlines() if line.startswith(("import", "from"))}
    assert modules == {"torch", "collections.abc"}


@pytest.mark.parametrize(
    ("name", "classes", "kind"),
    [("unet", 3, "percentile"), ("unet", 1, "fixed"), ("fcn", 2, "percentile")],
)
def test_onnx_weights_give_the_test_output(tmp_path, model_path, name, classes, kind) -> None:
    import onnxruntime

    path = model_path(name, classes=classes, kind=kind)
    folder = bigunet.export(path, tmp_path / "package")
    image, expected = (np.load(folder / f"test_{end}.npy") for end in ("input", "output"))
    session = onnxruntime.InferenceSession(folder / "weights.onnx")
    model = load_model(path)
    scores = session.run(None, {"image": normalised(model, image)})[0]
    shares = 1 / (1 + np.exp(-scores))
    if classes > 1:
        parts = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares = parts / parts.sum(axis=1, keepdims=True)
    assert expected.shape == (
        1,
        classes,
        *(n - 2 * model.receptive_field.border[0] for n in image.shape[2:]),
    )
    np.testing.assert_allclose(shares, expected, atol=1e-5)
    assert (folder / "weights.pt").exists() is (name == "unet")


def test_the_same_model_gives_the_same_bytes(tmp_path, model_path) -> None:
    path = model_path()
    one, two = (bigunet.export(path, tmp_path / f"{k}.zip") for k in "ab")
    assert one.read_bytes() == two.read_bytes()
    with zipfile.ZipFile(one) as archive:
        assert archive.testzip() is None
        assert str(tmp_path) not in archive.read("rdf.yaml").decode()


def test_bigunet_reads_a_package_as_the_model_that_it_was(client, tmp_path, model_path) -> None:
    path = model_path(batch_norm=True)
    package = bigunet.export(path, tmp_path / "package.zip")
    before, after = load_model(path), load_model(package)
    assert after.description == before.description
    assert after.receptive_field == before.receptive_field
    image = np.random.default_rng(0).gamma(2, 200, (60, 70)).astype(np.uint16)
    zarr.create_array(str(tmp_path / "in.zarr"), data=image, chunks=(32, 32))
    outputs = []
    for k, model in enumerate((path, package)):
        out = tmp_path / f"out{k}.zarr"
        bigunet.segment(tmp_path / "in.zarr", out, model=model, client=client, no_report=True)
        outputs.append(zarr.open_array(str(out / "labels/classes/0"), mode="r")[:])
    assert np.array_equal(*outputs)
    assert len(np.unique(outputs[0])) > 1


def test_a_package_that_was_changed_is_refused(tmp_path, model_path) -> None:
    folder = bigunet.export(model_path(), tmp_path / "package")
    data = yaml.safe_load((folder / "rdf.yaml").read_text())
    data["inputs"][0]["preprocessing"][1]["kwargs"]["max_percentile"] = 99.0
    (folder / "rdf.yaml").write_text(yaml.safe_dump(data))
    with pytest.raises(BigUNetError, match="states other grey values than its part for bigunet"):
        load_model(folder)
    (folder / "weights.pt").write_bytes((folder / "weights.pt").read_bytes() + b" ")
    del data["inputs"][0]["preprocessing"][1]
    with pytest.raises(BigUNetError):
        load_model(folder)


def test_what_cannot_be_exported_is_said(tmp_path, model_path) -> None:
    path = model_path()
    with pytest.raises(BigUNetError, match=r"--licence CC-BY-4\.0"):
        bigunet.export(path, tmp_path / "a.zip", licence="mine, all mine")
    with pytest.raises(BigUNetError, match="no network of bigunet's"):
        bigunet.export(
            bigunet.Model.of_module(torch.nn.Conv2d(1, 2, 3), ndim=2), tmp_path / "a.zip"
        )
    zarr.create_array(
        str(tmp_path / "in.zarr"), data=np.zeros((20, 20), np.uint8), dimension_names=["y", "x"]
    )
    with pytest.raises(BigUNetError, match="give a larger --image"):
        bigunet.export(path, tmp_path / "a.zip", image=str(tmp_path / "in.zarr"))
    assert not (tmp_path / "a.zip").exists()
    (tmp_path / "a.zip").touch()
    with pytest.raises(BigUNetError, match=r"a\.zip exists: give --overwrite, or another name"):
        bigunet.export("no-such-model", tmp_path / "a.zip")


@pytest.mark.parametrize("name", ["package", "package.zip"])
def test_only_a_package_is_overwritten_and_it_is_whole(tmp_path, model_path, name) -> None:
    other, target = tmp_path / f"other-{name}", tmp_path / name
    if target.suffix:
        other.write_bytes(b"no package")
    else:
        other.mkdir()
        (other / "results.csv").touch()
    with pytest.raises(
        BigUNetError, match=r"is no package of bioimage\.io, and is not overwritten"
    ):
        bigunet.export(model_path(), other, existing="overwrite")
    assert other.exists()
    bigunet.export(model_path(), target, tags=("first",))
    bigunet.export(model_path(), target, tags=("second",), existing="overwrite")
    package = load_model(target)
    assert package.description == load_model(model_path()).description
    assert b"second" in (
        zipfile.ZipFile(target).read("rdf.yaml")
        if target.suffix
        else (target / "rdf.yaml").read_bytes()
    )
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".partial")]


@pytest.mark.parametrize("name", ["net.onnx", "package.module:factory"])
def test_a_network_of_another_tool_is_refused_before_it_is_read(tmp_path, model_path, name) -> None:
    model = tmp_path / name
    if name == "net.onnx":
        model.write_bytes(
            (bigunet.export(model_path(), tmp_path / "p") / "weights.onnx").read_bytes()
        )
    else:
        model = name
    with pytest.raises(BigUNetError, match=r"is a network of another tool, .* bioimageio\.spec"):
        bigunet.export(model, tmp_path / "a.zip", licence="MIT")
    assert not (tmp_path / "a.zip").exists()


def test_the_command_writes_a_package(bigunet_command, tmp_path, model_path) -> None:
    target = tmp_path / "out.zip"
    words = ("--author", "Ada L", "--tag", "spots", "--json")
    assert bigunet_command("export", model_path(), target, *words).json == {"package": str(target)}
    refused = bigunet_command("export", model_path(), target, *words)
    assert "exists: give --overwrite, or another name" in refused.err
    assert bigunet_command("export", model_path(), target, *words, "--overwrite").code == 0
    with zipfile.ZipFile(target) as archive:
        data = yaml.safe_load(io.BytesIO(archive.read("rdf.yaml")))
    assert data["authors"] == [{"name": "Ada L"}]
    assert "spots" in data["tags"]


@pytest.mark.slow
def test_bioimageio_passes_the_bundled_nuclei_in_all_forms(tmp_path) -> None:
    field = sorted(FIELDS.glob("*.png"))[1]
    package = bigunet.export(
        "nuclei", tmp_path / "nuclei.zip", image=str(field), authors=("Ada L",)
    )
    done = subprocess.run(
        [Path(sys.executable).with_name("bioimageio"), "test", str(package)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    for form in ("onnx", "pytorch_state_dict"):
        assert f"weights.{form}" in done.stdout
    assert "❌" not in done.stdout


@pytest.mark.slow
def test_the_package_of_nuclei_gives_the_labels_of_nuclei(client, tmp_path) -> None:
    field = sorted(FIELDS.glob("*.png"))[1]
    package = bigunet.export("nuclei", tmp_path / "nuclei.zip")
    outputs = []
    for k, model in enumerate(("nuclei", package)):
        out = tmp_path / f"out{k}.zarr"
        bigunet.segment(field, out, model=model, client=client, no_report=True)
        for name in ("classes", "instances"):
            outputs.append(zarr.open_array(str(out / f"labels/{name}/0"), mode="r")[:])
    assert np.array_equal(outputs[0], outputs[2])
    assert np.array_equal(outputs[1], outputs[3])
    assert outputs[1].max() > 5
