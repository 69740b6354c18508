"""Scores leave out voxels that nobody annotated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.discs import discs
from support.evaluations import compare, noise

from bigunet.errors import ImageError, OptionError
from bigunet.evaluation.evaluate_options import EvaluateOptions
from bigunet.metrics.pixels import dice


def with_unknown(truth: np.ndarray, value: int = 255) -> tuple[np.ndarray, np.ndarray]:
    """The truth with stripes that nobody annotated, and a map of these stripes."""
    unknown = np.zeros(truth.shape, bool)
    unknown[..., 5:12], unknown[..., 30:33, :] = True, True
    return np.where(unknown, value, truth.astype(np.int32)), unknown


@pytest.mark.parametrize("value", [255, -1, 0])
def test_classes_are_scored_where_somebody_annotated(tmp_path: Path, value: int) -> None:
    prediction, truth = noise((40, 30), 3) + 1, noise((40, 30), 3) + 1
    stored, unknown = with_unknown(truth, value)
    result = compare(tmp_path, prediction, stored, ignore=(value,)).scores
    assert result["pixel_error"] == pytest.approx((prediction != truth)[~unknown].mean())
    for k in (1, 2, 3):
        expected = dice((prediction == k)[~unknown], (truth == k)[~unknown])
        assert result["dice"][str(k)] == pytest.approx(expected)
    prediction[unknown] = 1
    assert compare(tmp_path, prediction, stored, ignore=(value,)).scores == result


def test_objects_are_scored_where_somebody_annotated(tmp_path: Path) -> None:
    truth = np.zeros((20, 40), np.uint8)
    truth[2:8, 2:8] = 1
    truth[:, 20:30] = 255
    truth[2:8, 30:34] = 2  # its left half is unknown
    prediction = np.zeros((20, 40), np.uint8)
    prediction[2:8, 2:8] = 5
    prediction[2:8, 27:34] = 6  # 4 of 7 columns are known, so these count
    prediction[12:16, 25:32] = 7  # 5 of 7 columns are unknown, so the object does not count
    result = compare(tmp_path, prediction, truth, kind="instances", ignore=(255,)).scores
    assert (result["matched"], result["missed"], result["spurious"]) == (2, 0, 0)
    assert (result["panoptic_quality"], result["seg"], result["foreground_dice"]) == (1, 1, 1)
    learned = compare(tmp_path, prediction, truth, kind="instances").scores
    assert (learned["matched"], learned["missed"], learned["spurious"]) == (2, 1, 1)


def test_boundaries_are_scored_where_somebody_annotated(tmp_path: Path) -> None:
    truth = discs((40, 30), seed=2, count=9).astype(np.uint8)
    stored, unknown = with_unknown(truth)
    prediction = (np.roll(truth, 6, axis=0) > 0).astype(np.uint8)
    options: dict[str, Any] = {"kind": "boundaries", "ignore": (255,)}
    result = compare(tmp_path, prediction, stored, **options).scores
    assert result["pixel_error"] == pytest.approx((prediction != (truth > 0))[~unknown].mean())
    assert 0.3 < result["v_rand"] < 1
    for other in (np.uint8(0), np.uint8(1), noise((40, 30), 2)):
        changed = np.where(unknown, other, prediction)
        assert compare(tmp_path, changed, stored, **options).scores == result
    right = compare(tmp_path, (truth > 0).astype(np.uint8), stored, **options).scores
    assert (right["pixel_error"], right["rand_error"], right["warping_error"]) == (0, 0, 0)
    assert (right["v_rand"], right["v_info"]) == pytest.approx((1, 1))


def test_an_image_of_which_nobody_annotated_a_voxel_is_refused(tmp_path: Path) -> None:
    truth = np.full((4, 5), 7, np.uint8)
    with pytest.raises(ImageError, match=r"nobody annotated a voxel of the truth .*truth\.tif"):
        compare(tmp_path, truth, truth, ignore=(7,))
    with pytest.raises(OptionError, match="7 is to be ignored and a class"):
        EvaluateOptions(ignore=(7,), label_values=(0, 7))
