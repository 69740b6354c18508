"""Scores of maps and of classes against their definitions on sets of voxels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as npst

from bigunet.errors import OptionError
from bigunet.metrics.confusion import Confusion
from bigunet.metrics.pixels import PixelCounts, dice, iou, pixel_error

LAW = settings(deadline=None)  # a busy machine stalls for longer than a law takes
MAPS = npst.arrays(bool, (3, 4))
CLASSES = npst.arrays(np.uint8, (3, 4), elements={"min_value": 0, "max_value": 3})


@LAW
@given(MAPS, MAPS)
def test_scores_are_those_of_sets(prediction: np.ndarray, truth: np.ndarray) -> None:
    f = {k for k, v in enumerate(prediction.ravel()) if v}
    t = {k for k, v in enumerate(truth.ravel()) if v}
    assert pixel_error(prediction, truth) == len(f ^ t) / 12
    if not f | t:
        assert math.isnan(dice(prediction, truth))
        assert math.isnan(iou(prediction, truth))
        return
    assert dice(prediction, truth) == 2 * len(f & t) / (len(f) + len(t))
    assert iou(prediction, truth) == len(f & t) / len(f | t)
    counts = PixelCounts.of(prediction, truth)
    assert not f or counts.precision == len(f & t) / len(f)
    assert not t or counts.recall == len(f & t) / len(t)


@LAW
@given(MAPS, MAPS, MAPS, MAPS)
def test_images_add_up_voxel_by_voxel(
    a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray
) -> None:
    both = PixelCounts.of(np.stack([a, c]), np.stack([b, d]))
    assert PixelCounts.of(a, b) + PixelCounts.of(c, d) == both


@LAW
@given(CLASSES, CLASSES)
def test_a_class_counts_as_its_map_does(prediction: np.ndarray, truth: np.ndarray) -> None:
    confusion = Confusion.of(prediction, truth)
    assert set(confusion.classes) == set(prediction.ravel().tolist()) | set(truth.ravel().tolist())
    for value in range(4):
        assert confusion.of_class(value) == PixelCounts.of(prediction == value, truth == value)
    assert confusion.error == (prediction != truth).mean()


@LAW
@given(CLASSES, CLASSES)
def test_confusions_add_up_voxel_by_voxel(prediction: np.ndarray, truth: np.ndarray) -> None:
    halves = [
        Confusion.of(prediction[:, part], truth[:, part]) for part in (slice(1), slice(1, None))
    ]
    assert halves[0] + halves[1] == Confusion.of(prediction, truth)


@pytest.mark.parametrize("score", [dice, iou, pixel_error])
def test_arrays_that_are_no_pair_of_maps_are_refused(score) -> None:
    one = np.zeros((2, 2), bool)
    with pytest.raises(OptionError, match=r"truth is \(2, 3\) and the segmentation \(2, 2\)"):
        score(one, np.zeros((2, 3), bool))
    with pytest.raises(OptionError, match="the segmentation is uint8; give a map of bool"):
        score(one.astype(np.uint8), one)
