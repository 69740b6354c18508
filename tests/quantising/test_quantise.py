"""The verb quantise, from images to a model file that segment runs in int8."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from safetensors import safe_open

import bigunet
from bigunet import ModelDescription, SegmentationClass, UNet, UNetConfig
from bigunet.errors import ModelError, OptionError, OutputError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("quantise")
    network = UNet(UNetConfig(width=4, depth=1, dropout=0.0)).initialise()
    classes = (SegmentationClass("background", "#000000"), SegmentationClass("cell", "#ffffff"))
    described = ModelDescription(
        "small", {"name": "unet", "config": network.config.to_dict()}, classes, ("0",)
    )
    bigunet.save_model(folder / "small.safetensors", network, described)
    (folder / "images").mkdir()
    random = np.random.default_rng(0)
    for number in range(5):
        image = random.integers(0, 255, (60, 70), np.uint8)
        tifffile.imwrite(folder / "images" / f"{number}.tif", image)
    return folder


@pytest.fixture(scope="module")
def quantised(folder: Path) -> Path:
    report = bigunet.quantise(
        folder / "small.safetensors", folder / "images", output=folder / "int8.safetensors"
    )
    assert 0.8 < report.equal_labels <= 1
    assert not report.allowed
    return Path(report.output)


def test_the_weights_keep_their_bytes(folder: Path, quantised: Path) -> None:
    with (
        safe_open(folder / "small.safetensors", framework="pt") as before,
        safe_open(quantised, framework="pt") as after,
    ):
        for name in before.keys():  # noqa: SIM118 - no mapping
            assert before.get_tensor(name).equal(after.get_tensor(name))
    card = bigunet.load_model(quantised).description.card
    assert card["int8"]["auto"] is False


def test_labels_in_int8_do_not_depend_on_blocks_and_tiles(folder: Path, quantised: Path) -> None:
    labels = []
    for tile, backend in ((64, "openvino"), (18, "openvino"), (26, "torch")):
        result = bigunet.predict(
            tifffile.imread(folder / "images" / "0.tif"),
            model=quantised,
            axes="yx",
            precision="int8",
            tile_shape=(tile, tile),
            backend=backend,
            outputs=("classes", "probabilities"),
        )
        labels.append(np.asarray(result.probabilities).tobytes())
    assert labels[0] == labels[1] == labels[2]


def test_a_model_without_8_bits_is_refused_in_int8(folder: Path) -> None:
    with pytest.raises(ModelError, match="bigunet quantise MODEL IMAGES"):
        bigunet.predict(
            tifffile.imread(folder / "images" / "0.tif"),
            model=folder / "small.safetensors",
            axes="yx",
            precision="int8",
        )


def test_int8_on_a_gpu_is_refused() -> None:
    with pytest.raises(OptionError, match="int8 runs on CPUs"):
        bigunet.SegmentOptions(precision="int8", device="cuda")


def test_labels_need_a_model_that_says_what_they_mean(folder: Path) -> None:
    with pytest.raises(ModelError, match="leave the labels out"):
        bigunet.quantise(
            folder / "small.safetensors", folder / "images", folder / "images", output=folder / "x"
        )


def test_no_file_is_replaced(folder: Path, quantised: Path) -> None:
    with pytest.raises(OutputError, match="exists: remove it first"):
        bigunet.quantise(folder / "small.safetensors", folder / "images", output=quantised)
