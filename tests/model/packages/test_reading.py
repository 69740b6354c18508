"""What descriptions of both formats state, and which are refused by name."""

from typing import Any

import pytest
import yaml
from support.model_packages import description, write_package

from bigunet.errors import ModelError
from bigunet.model.packages.opening import open_package
from bigunet.model.packages.package_files import find_package
from bigunet.model.packages.reading import read_package
from bigunet.model.packages.yaml_text import read_yaml

ZERO_MEAN = "zero_mean_unit_variance"


def format_04(**changed: Any) -> dict[str, Any]:
    """The description of a package of format 0.4."""
    return {
        "format_version": "0.4.9",
        "type": "model",
        "name": "a small network",
        "inputs": [
            {
                "name": "raw",
                "axes": "bcyx",
                "shape": {"min": [1, 1, 8, 8], "step": [0, 0, 1, 1]},
                "preprocessing": [
                    {"name": ZERO_MEAN, "kwargs": {"mode": "per_sample", "axes": "yx"}}
                ],
            }
        ],
        "outputs": [
            {
                "name": "scores",
                "axes": "bcyx",
                "halo": [0, 0, 32, 32],
                "shape": {
                    "reference_tensor": "raw",
                    "scale": [1.0, 0.0, 1.0, 1.0],
                    "offset": [0.0, 0.5, 0.0, 0.0],
                },
                "postprocessing": [{"name": "sigmoid"}],
            }
        ],
        "weights": {"onnx": {"source": "weights.onnx"}},
        **changed,
    }


def read(tmp_path, data: dict[str, Any]):
    files = find_package(write_package(tmp_path / "package", data))
    assert files is not None
    return files


def test_both_formats_state_the_same(tmp_path) -> None:
    old = read_package(read(tmp_path / "old", format_04()))
    new = read_package(read(tmp_path / "new", description()))
    for package in (old, new):
        taken, made = package.inputs[0], package.outputs[0]
        assert (taken.space, made.space) == (("y", "x"), ("y", "x"))
        assert [axis.name for axis in taken.axes] == ["batch", "channel", "y", "x"]
        assert len(taken.channels) == len(made.channels) == 1
        assert [step.name for step in made.steps] == ["sigmoid"]
        assert list(package.weights) == ["onnx"]
    assert [axis.halo for axis in old.outputs[0].axes] == [0, 0, 32, 32]
    assert old.inputs[0].steps[0].name == ZERO_MEAN


def test_sizes_of_voxels_become_micrometres(tmp_path) -> None:
    data = description()
    for axis in data["inputs"][0]["axes"][2:]:
        axis |= {"scale": 250.0, "unit": "nanometer"}
    taken = read_package(read(tmp_path, data)).inputs[0]
    assert [axis.scale_um for axis in taken.axes[2:]] == [0.25, 0.25]


@pytest.mark.parametrize(
    ("text", "builder"),
    [
        ("unet.py:UNet", ("unet.py", None, "UNet")),
        ("nets.unet.UNet", (None, "nets.unet", "UNet")),
    ],
)
def test_format_04_names_a_file_or_a_module_that_builds_the_network(
    tmp_path, text, builder
) -> None:
    weights = {"pytorch_state_dict": {"source": "w.pt", "architecture": text}}
    entry = read_package(read(tmp_path, format_04(weights=weights))).weights["pytorch_state_dict"]
    assert (entry.code, entry.module, entry.builder) == builder


def changed(base: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A description with one field changed."""
    data: Any = yaml.safe_load(yaml.safe_dump(base))
    inner = data
    *folders, last = path.split(".")
    for name in folders:
        inner = inner[int(name) if name.isdigit() else name]
    inner[last] = value
    return dict(data)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("outputs.0.id", "raw", "two tensors of the name 'raw'"),
        ("type", "dataset", "describes a 'dataset'"),
        ("format_version", "0.3.6", "reads 0.4 and 0.5"),
        ("inputs.0.axes.2.type", "plane", "axis of type 'plane'"),
        ("inputs.0.axes", "bcyx", "should be a list"),
        ("outputs.0.axes.2.scale", 0.25, "has 4 voxels along y for one of the input"),
        (
            "inputs",
            [description()["inputs"][0], {**description()["inputs"][0], "id": "b"}],
            "has 2 inputs",
        ),
        ("inputs.0.axes.0.type", "index", "neither batch, channel nor y, x"),
        ("weights", {"keras_hdf5": {"source": "w.h5"}}, "keras_hdf5, which bigunet does not run"),
        ("weights", {"torchscript": {"source": "w.pt"}}, "give --trust"),
        ("weights.onnx.source", "https://a.org/w.onnx", "downloads nothing"),
        ("weights.onnx.sha256", "0" * 64, "has the SHA-256"),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value else "",
)
def test_what_bigunet_cannot_run_is_refused_by_name(tmp_path, path, value, message) -> None:
    data = changed(description(), path, value)
    folder = write_package(tmp_path / "package", data, weights_onnx=b"")
    files = find_package(folder)
    assert files is not None
    with pytest.raises(ModelError, match=message) as caught:
        open_package(files)
    assert "\n" not in str(caught.value)


def test_another_scale_of_format_04_is_refused(tmp_path) -> None:
    data = changed(format_04(), "outputs.0.shape.scale", [1.0, 0.0, 4.0, 4.0])
    with pytest.raises(ModelError, match="has 4 voxels along y for one of the input"):
        open_package(read(tmp_path, data))


@pytest.mark.parametrize("opening", ["*a0, *a0", "*a1, *a1"])
def test_aliases_that_double_are_refused(opening: str) -> None:
    lines = ["a0: &a0 [text, text]"]
    lines += [f"a{k}: &a{k} [*a{k - 1}, *a{k - 1}]" for k in range(1, 60)]
    with pytest.raises(ModelError, match="YAML"):
        read_yaml("\n".join([*lines, f"last: [{opening}]"]).encode())


def test_mappings_that_are_merged_again_and_again_are_refused() -> None:
    lines = ["a0: &a0 {k: v}"]
    lines += [f"a{k}: &a{k} {{!!merge <<: [*a{k - 1}, *a{k - 1}]}}" for k in range(1, 40)]
    with pytest.raises(ModelError, match="YAML"):
        read_yaml("\n".join(lines).encode())


def test_aliases_are_read() -> None:
    assert read_yaml(b"a: &a [y, x]\nb: *a")["b"] == ["y", "x"]
