"""Warping keeps the topology, flips each pixel that it can flip, and counts the others."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy import ndimage

from bigunet.errors import OptionError
from bigunet.metrics.warping import Warping, warp, warping

LAW = settings(deadline=None)  # a busy machine stalls for longer than a law takes
PLANES = npst.arrays(bool, (7, 8), elements=st.sampled_from([True, True, False]))
CORNERS = np.ones((3, 3))


def topology(interior: np.ndarray) -> tuple[int, int]:
    """Number of objects (over edges) and of background components (over corners).

    The outside of the plane is background.
    """
    return ndimage.label(interior)[1], ndimage.label(~np.pad(interior, 1), CORNERS)[1]


@LAW
@given(PLANES, PLANES)
def test_the_topology_stays_and_no_pixel_gets_worse(
    prediction: np.ndarray, truth: np.ndarray
) -> None:
    warped = warp(prediction, truth)
    assert topology(warped) == topology(truth)
    assert (warped == prediction)[truth == prediction].all()


@LAW
@given(PLANES, PLANES, npst.arrays(np.float32, (7, 8), elements={"min_value": 0, "max_value": 1}))
def test_flipping_a_remaining_pixel_would_change_the_topology(
    prediction: np.ndarray, truth: np.ndarray, certainty: np.ndarray
) -> None:
    warped = warp(prediction, truth, certainty=certainty)
    for y, x in np.argwhere(warped != prediction):
        flipped = warped.copy()
        flipped[y, x] = prediction[y, x]
        assert topology(flipped) != topology(warped)


def by_rounds(prediction: np.ndarray, truth: np.ndarray, certainty: np.ndarray) -> np.ndarray:
    warped = truth.copy()
    left = sorted(np.argwhere(warped != prediction).tolist(), key=lambda p: -certainty[*p])
    before = -1
    while len(left) != before:
        before = len(left)
        for y, x in list(left):
            flipped = warped.copy()
            flipped[y, x] = prediction[y, x]
            if topology(flipped) == topology(warped):
                warped = flipped
                left.remove([y, x])
    return warped


@LAW
@given(PLANES, PLANES, npst.arrays(np.uint8, (7, 8), elements={"max_value": 4}))
def test_rounds_over_the_remaining_pixels_keep_their_order(
    prediction: np.ndarray, truth: np.ndarray, certainty: np.ndarray
) -> None:
    expected = by_rounds(prediction, truth, certainty.astype(int))
    np.testing.assert_array_equal(warp(prediction, truth, certainty=certainty), expected)


def test_moved_and_larger_objects_are_no_error() -> None:
    y, x = np.ogrid[:60, :60]
    truth = (y - 25) ** 2 + (x - 25) ** 2 < 150
    prediction = (y - 32) ** 2 + (x - 30) ** 2 < 300
    assert warping(prediction, truth) == Warping(3600)


def test_a_cut_through_an_object_is_one_split() -> None:
    truth = np.zeros((9, 20), bool)
    truth[2:7, 2:18] = True
    prediction = truth.copy()
    prediction[:, 10] = False
    assert warping(prediction, truth) == Warping(180, mismatches=1, splits=1)


def test_each_pixel_of_a_gap_in_a_wall_is_a_merge() -> None:
    truth = np.ones((9, 21), bool)
    truth[:, 10] = False
    prediction = truth.copy()
    prediction[3:6, 10] = True
    assert warping(prediction, truth) == Warping(189, mismatches=3, merges=3)


def test_holes_and_lone_objects_are_neither_splits_nor_merges() -> None:
    truth = np.zeros((15, 30), bool)
    truth[3:12, 3:12] = True
    prediction = truth.copy()
    prediction[7, 7] = False  # a hole
    prediction[7, 20] = True  # one more object
    assert warping(prediction, truth) == Warping(450, mismatches=2)


@pytest.mark.parametrize(
    ("radius", "splits"),
    [(20, 0), (2, 1)],  # the ring closes within 20 pixels, not within 2
)
def test_a_gap_in_a_ring_is_a_split_if_the_ring_closes_too_far_away(
    radius: int, splits: int
) -> None:
    y, x = np.ogrid[:25, :25]
    truth = np.abs(np.hypot(y - 12, x - 12) - 8) < 1.5
    prediction = truth.copy()
    prediction[:12, 12] = False
    counts = warping(prediction, truth, radius=radius)
    assert (counts.mismatches, counts.splits, counts.merges) == (1, splits, 0)


@pytest.mark.parametrize("row", [2, 3])
def test_the_more_certain_pixels_are_flipped_first(row: int) -> None:
    truth = np.zeros((6, 9), bool)
    truth[2:4, 1:8] = True
    prediction = truth.copy()
    prediction[2:4, 3:6] = False
    certainty = np.zeros(truth.shape)
    certainty[row] = 1
    left = warp(prediction, truth, certainty=certainty) != prediction
    thread = {2: 3, 3: 2}[row]
    assert np.argwhere(left).tolist() == [[thread, 3], [thread, 4], [thread, 5]]


def test_planes_add_up() -> None:
    both = Warping(100, 4, 2, 1) + Warping(100, 2, 0, 1)
    assert both == Warping(200, 6, 2, 2)
    assert (both.error, both.split_merge_error) == (0.03, 0.02)


@pytest.mark.parametrize(
    ("prediction", "truth", "message"),
    [
        (np.zeros((2, 2), bool), np.zeros((2, 3), bool), r"\(2, 3\) .* \(2, 2\)"),
        (np.zeros((2, 2)), np.zeros((2, 2), bool), "segmentation is float64"),
        (np.zeros((2, 2, 2), bool), np.zeros((2, 2, 2), bool), r"\(2, 2, 2\); give a plane"),
    ],
    ids=["shapes", "floats", "volumes"],
)
def test_arrays_that_are_no_pair_of_planes_are_refused(prediction, truth, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        warping(prediction, truth)


def test_a_certainty_of_another_shape_is_refused() -> None:
    plane = np.zeros((2, 2), bool)
    with pytest.raises(OptionError, match=r"certainty is \(3,\)"):
        warp(plane, plane, certainty=np.zeros(3))
