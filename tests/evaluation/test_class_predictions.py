"""Predictions that are classes: by channel, by name, and what else they could be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image
from support.discs import discs
from support.evaluations import noise, write_channels

from bigunet import segment
from bigunet.errors import BigUNetError, ImageError
from bigunet.evaluation.evaluate import evaluate
from bigunet.evaluation.evaluate_options import METRICS, EvaluateOptions


def test_the_channel_of_the_highest_value_is_the_class(tmp_path: Path) -> None:
    channels, truth = noise((3, 20, 30), 255), noise((20, 30), 3)
    write_channels(tmp_path / "prediction.zarr", channels)
    Image.fromarray(truth).save(tmp_path / "truth.png")
    result = evaluate(tmp_path / "prediction.zarr", tmp_path / "truth.png").scores
    assert result["pixel_error"] == (channels.argmax(axis=0) != truth).mean()
    options = EvaluateOptions(channel="2", threshold=0.5)
    Image.fromarray((truth == 2).astype(np.uint8)).save(tmp_path / "truth.png")
    result = evaluate(tmp_path / "prediction.zarr", tmp_path / "truth.png", options=options).scores
    assert result["pixel_error"] == ((channels[2] > 127) != (truth == 2)).mean()


def write_classes(path: Path, classes: np.ndarray, names: tuple[str, ...]) -> None:
    """Write a label image that names its classes, and a root that shows it, as `segment` does."""
    root = zarr.open_group(str(path), mode="w", zarr_format=3)
    label = root.create_group("labels/classes")
    label.create_array("0", data=classes, dimension_names=["y", "x"])
    axes = [{"name": axis, "type": "space"} for axis in "yx"]
    scale = [{"type": "scale", "scale": [1.0, 1.0]}]
    for group, place in ((root, "labels/classes/0"), (label, "0")):
        datasets = [{"path": place, "coordinateTransformations": scale}]
        group.attrs["ome"] = {
            "version": "0.5",
            "multiscales": [{"axes": axes, "datasets": datasets}],
        }
    properties = [{"label-value": k, "class": name} for k, name in enumerate(names)]
    label.attrs["ome"] = {**label.attrs["ome"], "image-label": {"properties": properties}}


@pytest.fixture
def nuclei(tmp_path: Path) -> Path:
    """A folder with an image of classes, ``out.zarr``, and its numbered objects, ``truth.tif``."""
    truth = discs((60, 50), seed=0)
    write_classes(tmp_path / "out.zarr", (truth > 0).astype(np.uint8), ("background", "nucleus"))
    tifffile.imwrite(tmp_path / "truth.tif", truth.astype(np.uint16))
    return tmp_path


@pytest.mark.parametrize("name", ["out.zarr", "out.zarr/labels/classes"])
def test_a_class_is_named_where_the_prediction_names_it(nuclei: Path, name: str) -> None:
    files = nuclei / name, nuclei / "truth.tif"
    result = [
        evaluate(*files, options=EvaluateOptions("instances", object_class=which))
        for which in ("nucleus", "1", 1)
    ]
    assert result[0].scores["matched"] > 0
    assert result[0].scores == result[1].scores == result[2].scores
    assert result[0].warnings == ()
    inside = evaluate(*files, options=EvaluateOptions("boundaries", interior="nucleus"))
    assert inside.scores["pixel_error"] == 0


@pytest.mark.parametrize("name", ["out.zarr", "out.zarr/labels/classes"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {},
            "classes 0 background, 1 nucleus, the truth .* --kind instances --object-class nucleus",
        ),
        ({"kind": "instances"}, "not of numbered objects; .* such as --object-class nucleus"),
        (
            {"kind": "instances", "object_class": 7},
            "no class 7; its classes are 0 background, 1 nuc",
        ),
        (
            {"kind": "instances", "object_class": "cell"},
            "no class 'cell'; its classes are 0 backgr",
        ),
        ({"kind": "boundaries", "interior": 2}, "no class 2; its classes are 0 background"),
    ],
)
def test_classes_are_not_scored_as_something_else(
    nuclei: Path, name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(BigUNetError, match=message):
        evaluate(nuclei / name, nuclei / "truth.tif", options=EvaluateOptions(**options))


def test_a_known_class_that_does_not_occur_is_no_object(nuclei: Path) -> None:
    write_classes(nuclei / "out.zarr", np.zeros((60, 50), np.uint8), ("background", "nucleus"))
    options = EvaluateOptions("instances", object_class="nucleus")
    result = evaluate(nuclei / "out.zarr", nuclei / "truth.tif", options=options).scores
    assert (result["matched"], result["spurious"]) == (0, 0)
    assert result["panoptic_quality"] == 0
    assert np.isnan(result["segmentation_quality"])


def test_one_probability_needs_a_threshold(tmp_path: Path) -> None:
    share = noise((20, 30), 255)
    write_channels(tmp_path / "probabilities", np.stack([255 - share, share]))
    Image.fromarray(noise((20, 30), 2)).save(tmp_path / "truth.png")
    files = tmp_path / "probabilities", tmp_path / "truth.png"
    for kind in METRICS:
        with pytest.raises(ImageError, match="is the probability of a class; give --threshold"):
            evaluate(*files, options=EvaluateOptions(kind, channel=1))
        evaluate(*files, options=EvaluateOptions(kind, channel=1, threshold=0.5))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, None),
        ({"threshold": 0.5}, "3 channels; say which one the threshold is of"),
        ({"kind": "instances"}, "3 channels, which are probabilities; say which class"),
        ({"channel": "4"}, "4"),
    ],
)
def test_of_several_channels_the_options_must_say_which_one_counts(
    tmp_path: Path, options: dict[str, Any], message: str | None
) -> None:
    write_channels(tmp_path / "prediction.zarr", noise((3, 20, 30), 255))
    Image.fromarray(noise((20, 30), 3)).save(tmp_path / "truth.png")
    files = tmp_path / "prediction.zarr", tmp_path / "truth.png"
    if message is None:
        evaluate(*files, options=EvaluateOptions(**options))
        return
    with pytest.raises(BigUNetError, match=message):
        evaluate(*files, options=EvaluateOptions(**options))


def test_an_output_of_segment_is_read_by_each_of_its_names(
    tmp_path: Path, tiny_model: Path, write_image: Any, client: Any
) -> None:
    write_image(tmp_path / "in.zarr", "zyx", shape=(1, 90, 70))
    segment(tmp_path / "in.zarr", tmp_path / "out.zarr", model=tiny_model, client=client)
    classes = np.asarray(zarr.open_array(tmp_path / "out.zarr/labels/classes/0")[0])
    truth = classes.copy()
    truth[:9] = 0
    Image.fromarray(truth).save(tmp_path / "truth.png")
    for name in ("out.zarr", "out.zarr/labels/classes"):
        result = evaluate(tmp_path / name, tmp_path / "truth.png")
        assert result.scores["pixel_error"] == (classes != truth).mean()
    inside = evaluate(tmp_path / "out.zarr", "labels/classes", options=EvaluateOptions(level=0))
    assert inside.scores["pixel_error"] == 0
