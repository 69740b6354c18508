"""Warnings where the scores may not be what the user meant."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy import ndimage
from support.discs import discs
from support.evaluations import compare, noise, write_channels

from bigunet.errors import OptionError
from bigunet.evaluation.evaluate import evaluate
from bigunet.evaluation.evaluate_options import METRICS, EvaluateOptions


def test_channels_that_are_no_probabilities_are_doubted(tmp_path: Path) -> None:
    truth = noise((20, 30), 2)
    Image.fromarray(truth).save(tmp_path / "truth.png")
    write_channels(tmp_path / "prediction.zarr", noise((2, 20, 30), 255))
    (doubt,) = evaluate(tmp_path / "prediction.zarr", tmp_path / "truth.png").warnings
    assert "prediction.zarr: the channels of the prediction do not add up to 1" in doubt
    share = noise((20, 30), 255)
    write_channels(tmp_path / "shares.zarr", np.stack([share, 255 - share]))
    assert evaluate(tmp_path / "shares.zarr", tmp_path / "truth.png").warnings == ()


def test_a_class_that_is_in_no_prediction_is_doubted(tmp_path: Path) -> None:
    classes, truth = np.zeros((2, 20, 30), np.uint8), discs((20, 30), seed=1).astype(np.uint16)
    classes[1, 3:9, 4:9] = 1
    for name in ("prediction", "truth"):
        (tmp_path / name).mkdir()
    for k, plane in enumerate(classes):
        Image.fromarray(plane).save(tmp_path / f"prediction/{k}.png")
        tifffile.imwrite(tmp_path / f"truth/{k}.tif", truth)
    files = tmp_path / "prediction", tmp_path / "truth"
    evaluate(*files, options=EvaluateOptions("instances", object_class=1))
    result = evaluate(*files, options=EvaluateOptions("instances", object_class=7))
    assert "no voxel of the prediction is of the class 7" in result.warnings[0]
    assert result.scores["matched"] == 0
    with pytest.raises(OptionError, match=r"0\.png does not name its classes; give the number"):
        evaluate(*files, options=EvaluateOptions("instances", object_class="nucleus"))


def test_one_number_of_many_objects_is_doubted_as_a_class(tmp_path: Path) -> None:
    objects = np.kron(np.arange(1, 21).reshape(4, 5), np.ones((6, 6), int)).astype(np.uint16)
    (doubt,) = compare(tmp_path, objects, objects, kind="instances", object_class=1).warnings
    assert "over 16 values, and names no classes; if it is numbered objects, leave" in doubt
    assert compare(tmp_path, objects, objects, kind="instances").warnings == ()


@pytest.mark.parametrize("kind", METRICS)
def test_a_grey_image_is_no_prediction(tmp_path: Path, kind: str) -> None:
    grey, labels = noise((40, 50), 200), discs((40, 50), seed=2).astype(np.uint16)
    result = compare(tmp_path, grey, labels, kind=kind)
    assert "the prediction looks like a grey image" in result.warnings[0]
    result = compare(tmp_path, labels, grey.astype(np.uint16), kind=kind)
    assert "the truth looks like a grey image" in result.warnings[0]


def test_numbered_objects_are_no_classes(tmp_path: Path) -> None:
    y, x = np.ogrid[:40, :50]
    objects = (y // 8 * 10 + x // 5).astype(np.uint8)
    doubts = compare(tmp_path, (objects > 20).astype(np.uint8), objects).warnings
    assert "of 2 different values of the prediction, and 50 of the truth, they share 2" in doubts[0]
    (doubt,) = compare(tmp_path, objects, objects).warnings
    assert "over 32 different values" in doubt


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "no value but 0 in common; --label-values says"),
        ({"kind": "instances"}, "objects of the truth fall apart .* give --connected"),
        ({"label_values": (0, 255)}, None),
        ({"kind": "instances", "connected": True}, None),
    ],
)
def test_masks_as_truth_are_doubted(
    tmp_path: Path, options: dict[str, Any], message: str | None
) -> None:
    truth = np.zeros((20, 30), np.uint8)
    truth[::4] = 255
    prediction = truth // 255
    if options.get("kind") == "instances":
        prediction = ndimage.label(prediction)[0].astype(np.uint8)
    warnings = compare(tmp_path, prediction, truth, **options).warnings
    if message is None:
        assert warnings == ()
    else:
        assert len(warnings) == 1
        assert re.search(message, warnings[0])


def test_classes_as_objects_are_doubted_once_for_a_folder(tmp_path: Path) -> None:
    classes = np.zeros((20, 30), np.uint8)
    classes[::4] = 1
    for name, plane in (
        ("prediction", classes),
        ("truth", ndimage.label(classes)[0].astype(np.uint8)),
    ):
        (tmp_path / name).mkdir()
        for k in range(3):
            Image.fromarray(plane).save(tmp_path / name / f"{k}.png")
    options = EvaluateOptions("instances")
    (doubt,) = evaluate(tmp_path / "prediction", tmp_path / "truth", options=options).warnings
    assert re.search(r"0\.png and 2 more: the objects of the prediction fall apart", doubt)
