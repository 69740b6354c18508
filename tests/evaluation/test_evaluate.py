"""Evaluations say of files what the metrics say of their arrays, and refuse what does not fit."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image
from scipy import ndimage
from support.discs import discs
from support.training_images import write_array

from bigunet import segment
from bigunet.errors import BigUNetError, ImageError, OptionError
from bigunet.evaluation.evaluate import Evaluation, evaluate
from bigunet.evaluation.evaluate_options import METRICS, EvaluateOptions
from bigunet.metrics.objects import average_precision, match_objects, panoptic_quality, seg_score
from bigunet.metrics.partitions import rand_error, v_info, v_rand
from bigunet.metrics.pixels import dice, iou, pixel_error
from bigunet.metrics.warping import warping
from bigunet.training.data.targets import TargetRule, classes_of

RNG = np.random.default_rng(7)


def noise(shape: tuple[int, ...], highest: int) -> np.ndarray:
    return RNG.integers(0, highest, shape).astype(np.uint8)


def compare(folder: Path, found: np.ndarray, truth: np.ndarray, **options: Any) -> Evaluation:
    """Of arrays, through TIFF files: three axes are z, y, x."""
    for name, voxels in (("found", found), ("truth", truth)):
        axes = {"axes": "TZYX"[-voxels.ndim :]}
        path = folder / f"{name}.tif"
        tifffile.imwrite(path, voxels, photometric="minisblack", metadata=axes)
    return evaluate(folder / "found.tif", folder / "truth.tif", options=EvaluateOptions(**options))


def test_classes_are_scored_one_by_one_and_images_add_up(tmp_path: Path) -> None:
    found, truth = noise((3, 20, 30), 3), noise((3, 20, 30), 3)
    for name, planes in (("found", found), ("truth", truth)):
        (tmp_path / name).mkdir()
        for k, plane in enumerate(planes):
            Image.fromarray(plane).save(tmp_path / name / f"{k}.png")
    seen = evaluate(tmp_path / "found", tmp_path / "truth")
    for k in range(3):
        assert seen.scores["dice"][str(k)] == pytest.approx(dice(found == k, truth == k))
        assert seen.scores["iou"][str(k)] == pytest.approx(iou(found == k, truth == k))
    assert seen.scores["mean_dice"] == pytest.approx(np.mean([*seen.scores["dice"].values()]))
    assert seen.scores["pixel_error"] == (found != truth).mean()
    assert [Path(image.truth).name for image in seen.images] == ["0.png", "1.png", "2.png"]
    assert seen.images[1].scores["pixel_error"] == (found[1] != truth[1]).mean()


def test_masks_of_other_values_become_classes(tmp_path: Path) -> None:
    found, truth = noise((20, 30), 2), noise((20, 30), 2)
    seen = compare(tmp_path, found, truth * np.uint8(255), label_values=(0, 255))
    assert seen.scores["dice"]["1"] == dice(found > 0, truth > 0)
    with pytest.raises(ImageError, match=r"truth\.tif: label 255 is none of the classes'"):
        compare(tmp_path, found, truth * np.uint8(255), label_values=(0, 254))


def test_instances_are_matched_and_counted_together(tmp_path: Path) -> None:
    truth = np.stack([discs((60, 50), seed=k) for k in range(2)]).astype(np.uint16)
    found = np.roll(truth, 2, axis=1) * 3
    for name, planes in (("found", found), ("truth", truth)):
        write_array(tmp_path / name, planes.reshape(2, 60, 50))
        (tmp_path / f"{name}s").mkdir()
        for k, plane in enumerate(planes):
            tifffile.imwrite(tmp_path / f"{name}s" / f"{k}.tif", plane)
    options = EvaluateOptions("instances")
    one = evaluate(tmp_path / "found", tmp_path / "truth", options=options).scores
    matches = match_objects(truth, found)
    assert (one["matched"], one["missed"]) == (matches.matched, matches.missed)
    for step, score in one["average_precision"].items():
        assert score == average_precision(truth, found, iou=float(step))
    assert one["panoptic_quality"] == panoptic_quality(truth, found)
    assert one["seg"] == seg_score(truth, found)
    assert one["foreground_dice"] == dice(found > 0, truth > 0)
    several = evaluate(tmp_path / "founds", tmp_path / "truths", options=options).scores
    parts = [match_objects(t, f) for t, f in zip(truth, found)]
    assert several["panoptic_quality"] == (parts[0] + parts[1]).panoptic_quality


def test_objects_are_connected_voxels_of_a_class_and_the_small_are_left_out(
    tmp_path: Path,
) -> None:
    classes = noise((40, 30), 3)
    masks = noise((40, 30), 2) * np.uint8(200)
    seen = compare(
        tmp_path, classes, masks, kind="instances", objects_of=2, min_size=3, connected=True
    ).scores
    objects, count = ndimage.label(classes == 2)
    for k in range(1, count + 1):
        if (objects == k).sum() < 3:
            objects[objects == k] = 0
    truth, _ = ndimage.label(masks)
    matches = match_objects(truth, objects)
    assert (seen["matched"], seen["spurious"]) == (matches.matched, matches.spurious)
    assert seen["foreground_dice"] == dice(objects > 0, masks > 0)


def test_objects_get_back_what_the_border_took(tmp_path: Path) -> None:
    truth = np.zeros((30, 40), np.uint8)
    truth[3:7, 4:20], truth[7:11, 4:20], truth[15:25, 5:30] = 1, 2, 3
    classes = classes_of(truth, TargetRule("cells"))
    plain = {"kind": "instances", "objects_of": 1}
    without = compare(tmp_path, classes, truth, **plain).scores
    within = compare(tmp_path, classes, truth, **plain, border=2).scores
    assert without["matched"] == within["matched"] == 3
    assert without["seg"] < 0.9
    assert within["seg"] > 0.97


def interiors() -> tuple[np.ndarray, np.ndarray]:
    y, x = np.ogrid[:48, :40]
    truth = np.stack([(y % (16 + z) > 1) & (x % 13 > 1) for z in range(3)])
    found = np.roll(truth, 1, axis=1) | (RNG.random(truth.shape) < 0.01)
    return found, truth


def test_boundaries_are_scored_plane_by_plane(tmp_path: Path) -> None:
    found, truth = interiors()
    seen = compare(tmp_path, found.astype(np.uint8), truth * np.uint8(255), kind="boundaries")
    pairs = list(zip(found, truth))
    assert seen.scores == {
        "planes": 3,
        "pixel_error": pytest.approx(pixel_error(found, truth)),
        "rand_error": pytest.approx(np.mean([rand_error(f, t) for f, t in pairs])),
        "warping_error": pytest.approx(np.mean([warping(f, t).error for f, t in pairs])),
        "warping_error_splits_merges": pytest.approx(
            np.mean([warping(f, t).split_merge_error for f, t in pairs])
        ),
        "v_rand": pytest.approx(np.mean([v_rand(f, t) for f, t in pairs])),
        "v_info": pytest.approx(np.mean([v_info(f, t) for f, t in pairs])),
    }


def test_volumes_are_connected_along_z_and_are_not_warped(tmp_path: Path) -> None:
    found, truth = interiors()
    classes = np.where(found, 2, 1).astype(np.uint8)
    seen = compare(
        tmp_path, classes, truth.astype(np.uint8), kind="boundaries", interior=2, volumes=True
    )
    assert seen.scores["volumes"] == 1
    assert seen.scores["v_rand"] == v_rand(found, truth)
    assert "warping_error" not in seen.scores


def test_segments_that_touch_are_parted_by_a_border(tmp_path: Path) -> None:
    truth = np.repeat([[1] * 10 + [2] * 10], 12, axis=0).astype(np.uint8)
    found = np.ones((12, 20), np.uint8)
    found[:, 9:11] = 0
    options = {"kind": "boundaries", "metrics": ("pixel-error", "v-rand")}
    seen = compare(tmp_path, found, truth, border_width=1, **options)
    assert seen.scores == {"planes": 1, "pixel_error": 0.0, "v_rand": 1.0}
    assert compare(tmp_path, found, truth, **options).scores["pixel_error"] == 0.1


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_probabilities_above_the_threshold_are_interior(tmp_path: Path, dtype: str) -> None:
    shares = RNG.random((30, 40))
    shares[0, :3] = 0.6, 0.0, 1.0
    highest = np.iinfo(dtype).max if dtype[0] == "u" else 1
    stored = (shares * highest).astype(dtype)
    truth = noise((30, 40), 2)
    options = {"threshold": 0.6, "metrics": ("pixel-error", "warping-error")}
    seen = compare(tmp_path, stored, truth, kind="boundaries", **options).scores
    share = stored / np.float64(highest)
    found = share > 0.6
    assert seen["pixel_error"] == pytest.approx(pixel_error(found, truth > 0))
    certainty = np.abs(share - 0.6)
    assert seen["warping_error"] == warping(found, truth > 0, certainty=certainty).error
    classes = compare(tmp_path, stored, truth, threshold=0.6).scores
    assert classes["dice"]["1"] == dice(found, truth > 0)
    objects = compare(tmp_path, stored, truth, kind="instances", threshold=0.6, connected=True)
    matches = match_objects(ndimage.label(truth)[0], ndimage.label(found)[0])
    assert objects.scores["matched"] == matches.matched


def write_channels(path: Path, channels: np.ndarray) -> None:
    array = zarr.create_array(
        str(path), shape=channels.shape, dtype=channels.dtype, dimension_names=["c", "y", "x"]
    )
    array[...] = channels


def test_of_several_channels_the_highest_is_the_class(tmp_path: Path) -> None:
    channels, truth = noise((3, 20, 30), 255), noise((20, 30), 3)
    write_channels(tmp_path / "found.zarr", channels)
    Image.fromarray(truth).save(tmp_path / "truth.png")
    seen = evaluate(tmp_path / "found.zarr", tmp_path / "truth.png").scores
    assert seen["pixel_error"] == (channels.argmax(axis=0) != truth).mean()
    options = EvaluateOptions(channel="2", threshold=0.5)
    Image.fromarray((truth == 2).astype(np.uint8)).save(tmp_path / "truth.png")
    seen = evaluate(tmp_path / "found.zarr", tmp_path / "truth.png", options=options).scores
    assert seen["pixel_error"] == ((channels[2] > 127) != (truth == 2)).mean()


def test_channels_that_are_no_probabilities_are_doubted(tmp_path: Path) -> None:
    truth = noise((20, 30), 2)
    Image.fromarray(truth).save(tmp_path / "truth.png")
    write_channels(tmp_path / "found.zarr", noise((2, 20, 30), 255))
    (doubt,) = evaluate(tmp_path / "found.zarr", tmp_path / "truth.png").warnings
    assert "found.zarr: the channels of the prediction do not add up to 1" in doubt
    share = noise((20, 30), 255)
    write_channels(tmp_path / "shares.zarr", np.stack([share, 255 - share]))
    assert evaluate(tmp_path / "shares.zarr", tmp_path / "truth.png").warnings == ()


def write_classes(path: Path, classes: np.ndarray, names: tuple[str, ...]) -> None:
    """As `segment` writes them: a label image that names its classes, which the root shows."""
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
    """A folder of a class image ``out.zarr`` and the numbered objects in it."""
    truth = discs((60, 50), seed=0)
    write_classes(tmp_path / "out.zarr", (truth > 0).astype(np.uint8), ("background", "nucleus"))
    tifffile.imwrite(tmp_path / "truth.tif", truth.astype(np.uint16))
    return tmp_path


@pytest.mark.parametrize("name", ["out.zarr", "out.zarr/labels/classes"])
def test_a_class_is_named_where_the_prediction_names_it(nuclei: Path, name: str) -> None:
    files = nuclei / name, nuclei / "truth.tif"
    seen = [
        evaluate(*files, options=EvaluateOptions("instances", objects_of=which))
        for which in ("nucleus", "1", 1)
    ]
    assert seen[0].scores["matched"] > 0
    assert seen[0].scores == seen[1].scores == seen[2].scores
    assert seen[0].warnings == ()
    inside = evaluate(*files, options=EvaluateOptions("boundaries", interior="nucleus"))
    assert inside.scores["pixel_error"] == 0


@pytest.mark.parametrize("name", ["out.zarr", "out.zarr/labels/classes"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "classes 0 background, 1 nucleus, the truth .* --kind instances --objects-of nucleus"),
        ({"kind": "instances"}, "not of numbered objects; .* such as --objects-of nucleus"),
        ({"kind": "instances", "objects_of": 7}, "no class 7; its classes are 0 background, 1 nuc"),
        ({"kind": "instances", "objects_of": "cell"}, "no class 'cell'; its classes are 0 backgr"),
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
    options = EvaluateOptions("instances", objects_of="nucleus")
    seen = evaluate(nuclei / "out.zarr", nuclei / "truth.tif", options=options).scores
    assert (seen["matched"], seen["spurious"]) == (0, 0)
    assert seen["panoptic_quality"] == 0
    assert np.isnan(seen["segmentation_quality"])


def test_a_class_that_is_in_no_prediction_is_doubted(tmp_path: Path) -> None:
    classes, truth = np.zeros((2, 20, 30), np.uint8), discs((20, 30), seed=1).astype(np.uint16)
    classes[1, 3:9, 4:9] = 1
    for name in ("found", "truth"):
        (tmp_path / name).mkdir()
    for k, plane in enumerate(classes):
        Image.fromarray(plane).save(tmp_path / f"found/{k}.png")
        tifffile.imwrite(tmp_path / f"truth/{k}.tif", truth)
    files = tmp_path / "found", tmp_path / "truth"
    evaluate(*files, options=EvaluateOptions("instances", objects_of=1))
    found = evaluate(*files, options=EvaluateOptions("instances", objects_of=7))
    assert "no voxel of the prediction is of the class 7" in found.warnings[0]
    assert found.scores["matched"] == 0
    with pytest.raises(OptionError, match=r"0\.png does not name its classes; give the number"):
        evaluate(*files, options=EvaluateOptions("instances", objects_of="nucleus"))


def test_one_probability_needs_a_threshold(tmp_path: Path) -> None:
    share = noise((20, 30), 255)
    write_channels(tmp_path / "probabilities", np.stack([255 - share, share]))
    Image.fromarray(noise((20, 30), 2)).save(tmp_path / "truth.png")
    files = tmp_path / "probabilities", tmp_path / "truth.png"
    for kind in METRICS:
        with pytest.raises(ImageError, match="is the probability of a class; give --threshold"):
            evaluate(*files, options=EvaluateOptions(kind, channel=1))
        evaluate(*files, options=EvaluateOptions(kind, channel=1, threshold=0.5))


@pytest.mark.parametrize("kind", METRICS)
def test_a_grey_image_is_no_prediction(tmp_path: Path, kind: str) -> None:
    grey, labels = noise((40, 50), 200), discs((40, 50), seed=2).astype(np.uint16)
    found = compare(tmp_path, grey, labels, kind=kind)
    assert "the prediction looks like a grey image" in found.warnings[0]
    found = compare(tmp_path, labels, grey.astype(np.uint16), kind=kind)
    assert "the truth looks like a grey image" in found.warnings[0]


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
    found = truth // 255
    if options.get("kind") == "instances":
        found = ndimage.label(found)[0].astype(np.uint8)
    warnings = compare(tmp_path, found, truth, **options).warnings
    if message is None:
        assert warnings == ()
    else:
        assert len(warnings) == 1
        assert re.search(message, warnings[0])


def test_classes_as_objects_are_doubted_once_for_a_folder(tmp_path: Path) -> None:
    classes = np.zeros((20, 30), np.uint8)
    classes[::4] = 1
    for name, plane in (("found", classes), ("truth", ndimage.label(classes)[0].astype(np.uint8))):
        (tmp_path / name).mkdir()
        for k in range(3):
            Image.fromarray(plane).save(tmp_path / name / f"{k}.png")
    options = EvaluateOptions("instances")
    (doubt,) = evaluate(tmp_path / "found", tmp_path / "truth", options=options).warnings
    assert re.search(r"0\.png and 2 more: the objects of the prediction fall apart", doubt)


def test_time_points_are_images_of_their_own(tmp_path: Path) -> None:
    truth = np.stack([discs((40, 30), seed=k) for k in range(3)]).astype(np.uint16)
    found = np.roll(truth, 1, axis=2)
    for name, voxels in (("found", found), ("truth", truth)):
        array = zarr.create_array(
            str(tmp_path / name), shape=voxels.shape, dtype="uint16", dimension_names=list("tyx")
        )
        array[...] = voxels
    options = EvaluateOptions("instances")
    seen = evaluate(tmp_path / "found", tmp_path / "truth", options=options).scores
    parts = [match_objects(t, f) for t, f in zip(truth, found)]
    assert seen["matched"] + seen["missed"] == sum(len(np.unique(t)) - 1 for t in truth)
    assert seen["panoptic_quality"] == pytest.approx(sum(parts[1:], parts[0]).panoptic_quality)


def test_what_segment_wrote_is_found_by_every_name(
    tmp_path: Path, tiny_model: Path, write_image: Any, client: Any
) -> None:
    write_image(tmp_path / "in.zarr", "zyx", shape=(1, 90, 70))
    segment(tmp_path / "in.zarr", tmp_path / "out.zarr", model=tiny_model, client=client)
    classes = np.asarray(zarr.open_array(tmp_path / "out.zarr/labels/classes/0")[0])
    truth = classes.copy()
    truth[:9] = 0
    Image.fromarray(truth).save(tmp_path / "truth.png")
    for name in ("out.zarr", "out.zarr/labels/classes"):
        seen = evaluate(tmp_path / name, tmp_path / "truth.png")
        assert seen.scores["pixel_error"] == (classes != truth).mean()
    inside = evaluate(tmp_path / "out.zarr", "labels/classes", options=EvaluateOptions(level=0))
    assert inside.scores["pixel_error"] == 0


def test_levels_are_those_of_one_shape(tmp_path: Path) -> None:
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
    Image.fromarray(fine[::2, ::2]).save(tmp_path / "found.png")
    truth, found = tmp_path / "truth.zarr", tmp_path / "found.png"
    assert evaluate(found, truth, options=EvaluateOptions(level=1)).scores["pixel_error"] == 0
    with pytest.raises(ImageError, match=r"is y 20 × x 30, the truth .* y 40 × x 60 at level 0"):
        evaluate(found, truth)
    Image.fromarray(fine).save(tmp_path / "found.png")
    assert evaluate(truth, found).scores["pixel_error"] == 0


def test_json_has_null_where_there_was_nothing_to_score() -> None:
    seen = Evaluation(EvaluateOptions(), {"mean_dice": float("nan"), "dice": {"0": 1 / 3}}, ())
    told = json.loads(json.dumps(seen.to_dict(), allow_nan=False))
    assert told["scores"] == {"mean_dice": None, "dice": {"0": 0.333333}}
    assert told["kind"] == "classes"


@pytest.mark.parametrize("kind", METRICS)
def test_metrics_that_are_not_wanted_are_not_told(tmp_path: Path, kind: str) -> None:
    found, truth = noise((20, 30), 2), noise((20, 30), 2)
    whole = compare(tmp_path, found, truth, kind=kind).scores
    told = set()
    for name in METRICS[kind]:
        one = compare(tmp_path, found, truth, kind=kind, metrics=(name,)).scores
        assert one.items() <= whole.items()
        told |= one.keys()
    assert told == whole.keys()


@pytest.mark.parametrize(
    ("found", "truth", "options", "message"),
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
        (np.full((4, 5), np.nan, "f4"), np.zeros((4, 5), "u1"), {"threshold": 0.5}, "no numbers"),
    ],
    ids=["shapes", "floats", "float truth", "negative", "nan"],
)
def test_what_cannot_be_compared_is_refused(
    tmp_path: Path, found: np.ndarray, truth: np.ndarray, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ImageError, match=message):
        compare(tmp_path, found, truth, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, None),
        ({"threshold": 0.5}, "3 channels; say which one the threshold is of"),
        ({"kind": "instances"}, "3 channels, which are probabilities; say which class"),
        ({"channel": "4"}, "4"),
    ],
)
def test_several_channels_need_to_be_told_apart(
    tmp_path: Path, options: dict[str, Any], message: str | None
) -> None:
    write_channels(tmp_path / "found.zarr", noise((3, 20, 30), 255))
    Image.fromarray(noise((20, 30), 3)).save(tmp_path / "truth.png")
    files = tmp_path / "found.zarr", tmp_path / "truth.png"
    if message is None:
        evaluate(*files, options=EvaluateOptions(**options))
        return
    with pytest.raises(BigUNetError, match=message):
        evaluate(*files, options=EvaluateOptions(**options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "cells"}, "kind is 'cells'; known: classes, instances, boundaries"),
        ({"metrics": ("seg",)}, "metric 'seg' is none for classes; known: dice"),
        ({"objects_of": 0}, "objects_of is for instances, not classes"),
        ({"border": 2}, "border is for instances, not classes"),
        ({"border_width": 2}, "border_width is for boundaries, not classes"),
        ({"kind": "instances", "border": 2}, "give objects_of too"),
        ({"kind": "instances", "border_width": 2}, "give border too"),
        ({"kind": "instances", "objects_of": 1, "border": 1}, "give two classes"),
        ({"interior": 0, "kind": "instances"}, "interior is for boundaries"),
        ({"label_values": (1, 1)}, "give each value once"),
        ({"threshold": 1.0}, "threshold is 1.0; give 0 to below 1"),
        ({"threshold": float("nan")}, "threshold is nan"),
        ({"threshold": 0.5, "kind": "instances", "objects_of": 1}, "give one of them"),
        ({"level": -1}, "level is -1; give 0 or more"),
        ({"kind": "boundaries", "volumes": True, "metrics": ("warping-error",)}, "of planes"),
    ],
)
def test_options_that_mean_nothing_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        EvaluateOptions(**options)


def with_unknown(truth: np.ndarray, value: int = 255) -> tuple[np.ndarray, np.ndarray]:
    """The truth with stripes that nobody annotated, and where these are."""
    unknown = np.zeros(truth.shape, bool)
    unknown[..., 5:12], unknown[..., 30:33, :] = True, True
    return np.where(unknown, value, truth.astype(np.int32)), unknown


@pytest.mark.parametrize("value", [255, -1, 0])
def test_classes_are_scored_where_somebody_annotated(tmp_path: Path, value: int) -> None:
    found, truth = noise((40, 30), 3) + 1, noise((40, 30), 3) + 1
    stored, unknown = with_unknown(truth, value)
    seen = compare(tmp_path, found, stored, ignore=(value,)).scores
    assert seen["pixel_error"] == pytest.approx((found != truth)[~unknown].mean())
    for k in (1, 2, 3):
        expected = dice((found == k)[~unknown], (truth == k)[~unknown])
        assert seen["dice"][str(k)] == pytest.approx(expected)
    found[unknown] = 1
    assert compare(tmp_path, found, stored, ignore=(value,)).scores == seen


def test_objects_are_scored_where_somebody_annotated(tmp_path: Path) -> None:
    truth = np.zeros((20, 40), np.uint8)
    truth[2:8, 2:8] = 1
    truth[:, 20:30] = 255
    truth[2:8, 30:34] = 2  # its left half is unknown
    found = np.zeros((20, 40), np.uint8)
    found[2:8, 2:8] = 5
    found[2:8, 27:34] = 6  # 4 of 7 columns are known: it counts, there
    found[12:16, 25:32] = 7  # 5 of 7 are unknown: it does not
    seen = compare(tmp_path, found, truth, kind="instances", ignore=(255,)).scores
    assert (seen["matched"], seen["missed"], seen["spurious"]) == (2, 0, 0)
    assert (seen["panoptic_quality"], seen["seg"], seen["foreground_dice"]) == (1, 1, 1)
    learned = compare(tmp_path, found, truth, kind="instances").scores
    assert (learned["matched"], learned["missed"], learned["spurious"]) == (2, 1, 1)


def test_boundaries_are_scored_where_somebody_annotated(tmp_path: Path) -> None:
    truth = discs((40, 30), seed=2, count=9).astype(np.uint8)
    stored, unknown = with_unknown(truth)
    found = (np.roll(truth, 6, axis=0) > 0).astype(np.uint8)
    options: dict[str, Any] = {"kind": "boundaries", "ignore": (255,)}
    seen = compare(tmp_path, found, stored, **options).scores
    assert seen["pixel_error"] == pytest.approx((found != (truth > 0))[~unknown].mean())
    assert 0.3 < seen["v_rand"] < 1
    for other in (np.uint8(0), np.uint8(1), noise((40, 30), 2)):
        said = np.where(unknown, other, found)
        assert compare(tmp_path, said, stored, **options).scores == seen
    right = compare(tmp_path, (truth > 0).astype(np.uint8), stored, **options).scores
    assert (right["pixel_error"], right["rand_error"], right["warping_error"]) == (0, 0, 0)
    assert (right["v_rand"], right["v_info"]) == pytest.approx((1, 1))


def test_an_image_of_which_nobody_annotated_a_voxel_is_refused(tmp_path: Path) -> None:
    truth = np.full((4, 5), 7, np.uint8)
    with pytest.raises(ImageError, match=r"nobody annotated a voxel of the truth .*truth\.tif"):
        compare(tmp_path, truth, truth, ignore=(7,))
    with pytest.raises(OptionError, match="7 is to be ignored and a class"):
        EvaluateOptions(ignore=(7,), label_values=(0, 7))


def test_a_truth_of_whole_float_numbers_is_read(tmp_path: Path) -> None:
    found = noise((20, 30), 3)
    assert compare(tmp_path, found, found.astype(np.float32)).scores["pixel_error"] == 0
