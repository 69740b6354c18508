"""Warping keeps the topology, reaches what can be reached, and names what cannot."""

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
    """Objects (over edges), and parts of what is between them (over corners), outside included."""
    return ndimage.label(interior)[1], ndimage.label(~np.pad(interior, 1), CORNERS)[1]


@LAW
@given(PLANES, PLANES)
def test_the_topology_stays_and_no_pixel_gets_worse(found: np.ndarray, truth: np.ndarray) -> None:
    warped = warp(found, truth)
    assert topology(warped) == topology(truth)
    assert (warped == found)[truth == found].all()


@LAW
@given(PLANES, PLANES, npst.arrays(np.float32, (7, 8), elements={"min_value": 0, "max_value": 1}))
def test_each_pixel_left_would_change_the_topology(
    found: np.ndarray, truth: np.ndarray, certainty: np.ndarray
) -> None:
    warped = warp(found, truth, certainty=certainty)
    for y, x in np.argwhere(warped != found):
        flipped = warped.copy()
        flipped[y, x] = found[y, x]
        assert topology(flipped) != topology(warped)


def by_rounds(found: np.ndarray, truth: np.ndarray, certainty: np.ndarray) -> np.ndarray:
    warped = truth.copy()
    left = sorted(np.argwhere(warped != found).tolist(), key=lambda p: -certainty[*p])
    before = -1
    while len(left) != before:
        before = len(left)
        for y, x in list(left):
            flipped = warped.copy()
            flipped[y, x] = found[y, x]
            if topology(flipped) == topology(warped):
                warped = flipped
                left.remove([y, x])
    return warped


@LAW
@given(PLANES, PLANES, npst.arrays(np.uint8, (7, 8), elements={"max_value": 4}))
def test_rounds_over_the_pixels_left_keep_their_order(
    found: np.ndarray, truth: np.ndarray, certainty: np.ndarray
) -> None:
    expected = by_rounds(found, truth, certainty.astype(int))
    np.testing.assert_array_equal(warp(found, truth, certainty=certainty), expected)


def test_moved_and_swollen_objects_are_no_error() -> None:
    y, x = np.ogrid[:60, :60]
    truth = (y - 25) ** 2 + (x - 25) ** 2 < 150
    found = (y - 32) ** 2 + (x - 30) ** 2 < 300
    assert warping(found, truth) == Warping(3600)


def test_a_cut_costs_a_pixel_of_each_place_that_parts_the_object() -> None:
    truth = np.zeros((9, 20), bool)
    truth[2:7, 2:18] = True
    found = truth.copy()
    found[:, 10] = False
    assert warping(found, truth) == Warping(180, mismatches=1, splits=1)


def test_a_gap_costs_the_pixels_of_the_wall_it_opens() -> None:
    truth = np.ones((9, 21), bool)
    truth[:, 10] = False
    found = truth.copy()
    found[3:6, 10] = True
    assert warping(found, truth) == Warping(189, mismatches=3, merges=3)


def test_holes_and_lone_objects_are_neither_splits_nor_merges() -> None:
    truth = np.zeros((15, 30), bool)
    truth[3:12, 3:12] = True
    found = truth.copy()
    found[7, 7] = False  # a hole
    found[7, 20] = True  # an object more
    assert warping(found, truth) == Warping(450, mismatches=2)


@pytest.mark.parametrize(
    ("radius", "splits"),
    [(20, 0), (2, 1)],  # the ring closes within 20 pixels, not within 2
)
def test_a_ring_is_split_where_its_parts_do_not_meet_nearby(radius: int, splits: int) -> None:
    y, x = np.ogrid[:25, :25]
    truth = np.abs(np.hypot(y - 12, x - 12) - 8) < 1.5
    found = truth.copy()
    found[:12, 12] = False
    seen = warping(found, truth, radius=radius)
    assert (seen.mismatches, seen.splits, seen.merges) == (1, splits, 0)


@pytest.mark.parametrize("row", [2, 3])
def test_the_more_certain_pixels_are_flipped_first(row: int) -> None:
    truth = np.zeros((6, 9), bool)
    truth[2:4, 1:8] = True
    found = truth.copy()
    found[2:4, 3:6] = False
    certainty = np.zeros(truth.shape)
    certainty[row] = 1
    left = warp(found, truth, certainty=certainty) != found
    thread = {2: 3, 3: 2}[row]
    assert np.argwhere(left).tolist() == [[thread, 3], [thread, 4], [thread, 5]]


def test_planes_add_up() -> None:
    both = Warping(100, 4, 2, 1) + Warping(100, 2, 0, 1)
    assert both == Warping(200, 6, 2, 2)
    assert (both.error, both.split_merge_error) == (0.03, 0.02)


@pytest.mark.parametrize(
    ("found", "truth", "message"),
    [
        (np.zeros((2, 2), bool), np.zeros((2, 3), bool), r"\(2, 3\) .* \(2, 2\)"),
        (np.zeros((2, 2)), np.zeros((2, 2), bool), "segmentation is float64"),
        (np.zeros((2, 2, 2), bool), np.zeros((2, 2, 2), bool), r"\(2, 2, 2\); give a plane"),
    ],
    ids=["shapes", "floats", "volumes"],
)
def test_what_is_no_pair_of_planes_is_refused(found, truth, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        warping(found, truth)


def test_a_certainty_of_another_shape_is_refused() -> None:
    plane = np.zeros((2, 2), bool)
    with pytest.raises(OptionError, match=r"certainty is \(3,\)"):
        warp(plane, plane, certainty=np.zeros(3))
