"""Scores of files are the scores of their arrays; images that do not fit are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image
from scipy import ndimage
from support.discs import discs
from support.evaluations import RNG, compare, noise
from support.training_images import write_array

from bigunet.errors import ImageError
from bigunet.evaluation.evaluate import Evaluation, evaluate
from bigunet.evaluation.evaluate_options import EvaluateOptions
from bigunet.metrics.objects import average_precision, match_objects, panoptic_quality, seg_score
from bigunet.metrics.partitions import rand_error, v_info, v_rand
from bigunet.metrics.pixels import dice, iou, pixel_error
from bigunet.metrics.warping import warping
from bigunet.training.data.targets import TargetRule, classes_of


def test_classes_are_scored_one_by_one_and_images_add_up(tmp_path: Path) -> None:
    prediction, truth = noise((3, 20, 30), 3), noise((3, 20, 30), 3)
    for name, planes in (("prediction", prediction), ("truth", truth)):
        (tmp_path / name).mkdir()
        for k, plane in enumerate(planes):
            Image.fromarray(plane).save(tmp_path / name / f"{k}.png")
    result = evaluate(tmp_path / "prediction", tmp_path / "truth")
    for k in range(3):
        assert result.scores["dice"][str(k)] == pytest.approx(dice(prediction == k, truth == k))
        assert result.scores["iou"][str(k)] == pytest.approx(iou(prediction == k, truth == k))
    assert result.scores["mean_dice"] == pytest.approx(np.mean([*result.scores["dice"].values()]))
    assert result.scores["pixel_error"] == (prediction != truth).mean()
    assert [Path(image.truth).name for image in result.images] == ["0.png", "1.png", "2.png"]
    assert result.images[1].scores["pixel_error"] == (prediction[1] != truth[1]).mean()


def test_masks_of_other_values_become_classes(tmp_path: Path) -> None:
    prediction, truth = noise((20, 30), 2), noise((20, 30), 2)
    result = compare(tmp_path, prediction, truth * np.uint8(255), label_values=(0, 255))
    assert result.scores["dice"]["1"] == dice(prediction > 0, truth > 0)
    with pytest.raises(ImageError, match=r"truth\.tif: label 255 is none of the classes'"):
        compare(tmp_path, prediction, truth * np.uint8(255), label_values=(0, 254))


def test_instances_are_matched_and_counted_together(tmp_path: Path) -> None:
    truth = np.stack([discs((60, 50), seed=k) for k in range(2)]).astype(np.uint16)
    prediction = np.roll(truth, 2, axis=1) * 3
    for name, planes in (("prediction", prediction), ("truth", truth)):
        write_array(tmp_path / name, planes.reshape(2, 60, 50))
        (tmp_path / f"{name}s").mkdir()
        for k, plane in enumerate(planes):
            tifffile.imwrite(tmp_path / f"{name}s" / f"{k}.tif", plane)
    options = EvaluateOptions("instances")
    one = evaluate(tmp_path / "prediction", tmp_path / "truth", options=options).scores
    matches = match_objects(truth, prediction)
    assert (one["matched"], one["missed"]) == (matches.matched, matches.missed)
    for step, score in one["average_precision"].items():
        assert score == average_precision(truth, prediction, iou=float(step))
    assert one["panoptic_quality"] == panoptic_quality(truth, prediction)
    assert one["seg"] == seg_score(truth, prediction)
    assert one["foreground_dice"] == dice(prediction > 0, truth > 0)
    several = evaluate(tmp_path / "predictions", tmp_path / "truths", options=options).scores
    parts = [match_objects(t, f) for t, f in zip(truth, prediction)]
    assert several["panoptic_quality"] == (parts[0] + parts[1]).panoptic_quality


def test_objects_are_components_of_a_class_and_small_ones_are_left_out(
    tmp_path: Path,
) -> None:
    classes = noise((40, 30), 3)
    masks = noise((40, 30), 2) * np.uint8(200)
    result = compare(
        tmp_path, classes, masks, kind="instances", object_class=2, smallest=3, connected=True
    ).scores
    objects, count = ndimage.label(classes == 2)
    for k in range(1, count + 1):
        if (objects == k).sum() < 3:
            objects[objects == k] = 0
    truth, _ = ndimage.label(masks)
    matches = match_objects(truth, objects)
    assert (result["matched"], result["spurious"]) == (matches.matched, matches.spurious)
    assert result["foreground_dice"] == dice(objects > 0, masks > 0)


def test_voxels_of_the_border_class_return_to_the_objects(tmp_path: Path) -> None:
    truth = np.zeros((30, 40), np.uint8)
    truth[3:7, 4:20], truth[7:11, 4:20], truth[15:25, 5:30] = 1, 2, 3
    classes = classes_of(truth, TargetRule("cells"))
    plain = {"kind": "instances", "object_class": 1}
    without = compare(tmp_path, classes, truth, **plain).scores
    within = compare(tmp_path, classes, truth, **plain, border_class=2).scores
    assert without["matched"] == within["matched"] == 3
    assert without["seg"] < 0.9
    assert within["seg"] > 0.97


def interiors() -> tuple[np.ndarray, np.ndarray]:
    y, x = np.ogrid[:48, :40]
    truth = np.stack([(y % (16 + z) > 1) & (x % 13 > 1) for z in range(3)])
    prediction = np.roll(truth, 1, axis=1) | (RNG.random(truth.shape) < 0.01)
    return prediction, truth


def test_boundaries_are_scored_plane_by_plane(tmp_path: Path) -> None:
    prediction, truth = interiors()
    result = compare(
        tmp_path, prediction.astype(np.uint8), truth * np.uint8(255), kind="boundaries"
    )
    pairs = list(zip(prediction, truth))
    assert result.scores == {
        "planes": 3,
        "pixel_error": pytest.approx(pixel_error(prediction, truth)),
        "rand_error": pytest.approx(np.mean([rand_error(f, t) for f, t in pairs])),
        "warping_error": pytest.approx(np.mean([warping(f, t).error for f, t in pairs])),
        "warping_error_splits_merges": pytest.approx(
            np.mean([warping(f, t).split_merge_error for f, t in pairs])
        ),
        "v_rand": pytest.approx(np.mean([v_rand(f, t) for f, t in pairs])),
        "v_info": pytest.approx(np.mean([v_info(f, t) for f, t in pairs])),
    }


def test_volumes_are_connected_along_z_and_are_not_warped(tmp_path: Path) -> None:
    prediction, truth = interiors()
    classes = np.where(prediction, 2, 1).astype(np.uint8)
    result = compare(
        tmp_path, classes, truth.astype(np.uint8), kind="boundaries", interior=2, volumes=True
    )
    assert result.scores["volumes"] == 1
    assert result.scores["v_rand"] == v_rand(prediction, truth)
    assert "warping_error" not in result.scores


def test_a_border_separates_segments_that_touch(tmp_path: Path) -> None:
    truth = np.repeat([[1] * 10 + [2] * 10], 12, axis=0).astype(np.uint8)
    prediction = np.ones((12, 20), np.uint8)
    prediction[:, 9:11] = 0
    options = {"kind": "boundaries", "metrics": ("pixel-error", "v-rand")}
    result = compare(tmp_path, prediction, truth, border_width=1, **options)
    assert result.scores == {"planes": 1, "pixel_error": 0.0, "v_rand": 1.0}
    assert compare(tmp_path, prediction, truth, **options).scores["pixel_error"] == 0.1


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_probabilities_above_the_threshold_are_interior(tmp_path: Path, dtype: str) -> None:
    shares = RNG.random((30, 40))
    shares[0, :3] = 0.6, 0.0, 1.0
    highest = np.iinfo(dtype).max if dtype[0] == "u" else 1
    stored = (shares * highest).astype(dtype)
    truth = noise((30, 40), 2)
    options = {"threshold": 0.6, "metrics": ("pixel-error", "warping-error")}
    result = compare(tmp_path, stored, truth, kind="boundaries", **options).scores
    share = stored / np.float64(highest)
    prediction = share > 0.6
    assert result["pixel_error"] == pytest.approx(pixel_error(prediction, truth > 0))
    certainty = np.abs(share - 0.6)
    assert result["warping_error"] == warping(prediction, truth > 0, certainty=certainty).error
    classes = compare(tmp_path, stored, truth, threshold=0.6).scores
    assert classes["dice"]["1"] == dice(prediction, truth > 0)
    objects = compare(tmp_path, stored, truth, kind="instances", threshold=0.6, connected=True)
    matches = match_objects(ndimage.label(truth)[0], ndimage.label(prediction)[0])
    assert objects.scores["matched"] == matches.matched


def test_time_points_are_images_of_their_own(tmp_path: Path) -> None:
    truth = np.stack([discs((40, 30), seed=k) for k in range(3)]).astype(np.uint16)
    prediction = np.roll(truth, 1, axis=2)
    for name, voxels in (("prediction", prediction), ("truth", truth)):
        array = zarr.create_array(
            str(tmp_path / name), shape=voxels.shape, dtype="uint16", dimension_names=list("tyx")
        )
        array[...] = voxels
    options = EvaluateOptions("instances")
    result = evaluate(tmp_path / "prediction", tmp_path / "truth", options=options).scores
    parts = [match_objects(t, f) for t, f in zip(truth, prediction)]
    assert result["matched"] + result["missed"] == sum(len(np.unique(t)) - 1 for t in truth)
    assert result["panoptic_quality"] == pytest.approx(sum(parts[1:], parts[0]).panoptic_quality)


def test_the_level_of_the_prediction_has_the_shape_of_the_truth(tmp_path: Path) -> None:
    fine = noise((40, 60), 3)
    group = zarr.open_group(str(tmp_path / "truth.zarr"), mode="w", zarr_format=3)
    for k, voxels in enumerate((fine, fine[::2, ::2])):
        group.create_array(str(k), data=voxels, dimension_names=["y", "x"])
    datasets = [
        {
            "path": str(k),
            "coordinateTransformations": [{"type": "scale", "scale": [float(2**k)] * 2}],
        }
        for k in range(2)
    ]
    axes = [{"name": a, "type": "space", "unit": "micrometer"} for a in "yx"]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}
    Image.fromarray(fine[::2, ::2]).save(tmp_path / "prediction.png")
    truth, prediction = tmp_path / "truth.zarr", tmp_path / "prediction.png"
    assert evaluate(prediction, truth, options=EvaluateOptions(level=1)).scores["pixel_error"] == 0
    with pytest.raises(ImageError, match=r"is y 20 × x 30, the truth .* y 40 × x 60 at level 0"):
        evaluate(prediction, truth)
    Image.fromarray(fine).save(tmp_path / "prediction.png")
    assert evaluate(truth, prediction).scores["pixel_error"] == 0


def test_json_has_null_where_there_was_nothing_to_score() -> None:
    result = Evaluation(EvaluateOptions(), {"mean_dice": float("nan"), "dice": {"0": 1 / 3}}, ())
    read_back = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert read_back["scores"] == {"mean_dice": None, "dice": {"0": 0.333333}}
    assert read_back["kind"] == "classes"


@pytest.mark.parametrize(
    ("prediction", "truth", "options", "message"),
    [
        (np.zeros((4, 5), "u1"), np.zeros((4, 6), "u1"), {}, "y 4 × x 5, .* y 4 × x 6 at level 0"),
        (
            np.zeros((4, 5), "f4"),
            np.zeros((4, 5), "u1"),
            {},
            "is float32; give whole numbers, or a",
        ),
        (
            np.zeros((4, 5), "u1"),
            np.full((4, 5), 0.5, "f4"),
            {},
            "truth.tif holds 0.5 at y 0, x 0; labels are whole numbers",
        ),
        (
            np.zeros((4, 5), "u1"),
            np.full((4, 5), -1, "i2"),
            {},
            "holds -1 at y 0, x 0; labels are whole",
        ),
        (
            np.full((4, 5), np.nan, "f4"),
            np.zeros((4, 5), "u1"),
            {"threshold": 0.5},
            "NaN or infinity",
        ),
    ],
    ids=["shapes", "floats", "float truth", "negative", "nan"],
)
def test_images_that_cannot_be_compared_are_refused(
    tmp_path: Path, prediction: np.ndarray, truth: np.ndarray, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ImageError, match=message):
        compare(tmp_path, prediction, truth, **options)


def test_a_truth_of_whole_float_numbers_is_read(tmp_path: Path) -> None:
    prediction = noise((20, 30), 3)
    assert compare(tmp_path, prediction, prediction.astype(np.float32)).scores["pixel_error"] == 0
