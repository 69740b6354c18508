"""Partition scores against their definitions on pairs of voxels, counted one by one."""

from __future__ import annotations

import math
from collections import Counter
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from bigunet.errors import OptionError
from bigunet.metrics.partitions import (
    adapted_rand_error,
    foreground_scores,
    rand_error,
    v_info,
    v_rand,
)
from bigunet.metrics.thinning import segments_of, thin_borders

LAW = settings(deadline=None)  # a busy machine stalls for longer than a law takes
LABELS = npst.arrays(np.int32, (4, 5), elements=st.sampled_from([0, 0, 1, 2, 7]))
MAPS = npst.arrays(bool, (5, 5))


def lone_where_zero(labels: np.ndarray) -> list[int]:
    """Labels of the voxels; each voxel of 0 gets a label of its own."""
    return [v or -k for k, v in enumerate(labels.ravel().tolist(), start=1)]


@LAW
@given(LABELS, LABELS)
def test_rand_error_is_the_share_of_pairs_that_only_one_partition_joins(
    prediction: np.ndarray, truth: np.ndarray
) -> None:
    voxels = list(zip(prediction.ravel(), truth.ravel()))
    pairs = [(a[0] == b[0]) != (a[1] == b[1]) for a, b in combinations(voxels, 2)]
    assert rand_error(prediction, truth) == pytest.approx(sum(pairs) / len(pairs))


@LAW
@given(LABELS, LABELS)
def test_adapted_rand_error_is_of_pairs_in_true_segments(
    prediction: np.ndarray, truth: np.ndarray
) -> None:
    voxels = [(f, t) for f, t in zip(prediction.ravel().tolist(), truth.ravel().tolist()) if t]
    together = [(a[0] == b[0], a[1] == b[1]) for a, b in combinations(voxels, 2)]
    either = sum(f + t for f, t in together)
    expected = 1 - 2 * sum(f and t for f, t in together) / either if either else 0.0
    assert adapted_rand_error(prediction, truth) == pytest.approx(expected)


@LAW
@given(LABELS, LABELS)
def test_v_rand_is_of_ordered_pairs_in_true_segments(
    prediction: np.ndarray, truth: np.ndarray
) -> None:
    voxels = [(f, t) for f, t in zip(lone_where_zero(prediction), truth.ravel()) if t]
    together = [(a[0] == b[0], a[1] == b[1]) for a, b in product(voxels, repeat=2)]
    either = sum(int(f) + int(t) for f, t in together)
    expected = 2 * sum(f and t for f, t in together) / either if either else 1.0
    assert v_rand(prediction, truth, thin=False) == pytest.approx(expected)


@LAW
@given(LABELS, LABELS)
def test_v_info_is_information_by_entropy(prediction: np.ndarray, truth: np.ndarray) -> None:
    voxels = [(f, t) for f, t in zip(lone_where_zero(prediction), truth.ravel().tolist()) if t]

    def entropy(values: list) -> float:
        shares = [count / len(values) for count in Counter(values).values()]
        return -sum(share * math.log(share) for share in shares)

    both = entropy([f for f, _ in voxels]) + entropy([t for _, t in voxels])
    expected = 2 * (both - entropy(voxels)) / both if both > 0 else 1.0
    assert v_info(prediction, truth, thin=False) == pytest.approx(expected, abs=1e-9)


@LAW
@given(MAPS, MAPS)
def test_maps_score_as_their_connected_voxels_do(prediction: np.ndarray, truth: np.ndarray) -> None:
    labels = segments_of(prediction), segments_of(truth)
    assert rand_error(prediction, truth) == rand_error(*labels)
    assert foreground_scores(prediction, truth) == foreground_scores(*labels)
    thinned = foreground_scores(thin_borders(labels[0]), labels[1], thin=False)
    assert foreground_scores(prediction, truth) == thinned


@LAW
@given(MAPS)
def test_the_truth_itself_scores_best(truth: np.ndarray) -> None:
    assert rand_error(truth, truth) == adapted_rand_error(truth, truth) == 0.0
    for thin in (False, True):
        assert v_rand(truth, truth, thin=thin) == pytest.approx(1.0)
        assert v_info(truth, truth, thin=thin) == pytest.approx(1.0)


def test_the_width_of_a_thinned_border_does_not_change_the_score() -> None:
    truth, prediction = np.ones((9, 21), bool), np.ones((9, 21), bool)
    truth[:, 10] = prediction[:, 7:14] = False
    assert v_rand(prediction, truth) == v_info(prediction, truth) == 1.0
    assert v_rand(prediction, truth, thin=False) < 0.8


def test_merging_two_equal_halves_loses_a_third_of_v_rand_and_all_of_v_info() -> None:
    truth = np.ones((4, 9), bool)
    truth[:, 4] = False
    merged = np.ones((4, 9), bool)
    assert v_rand(merged, truth) == pytest.approx(2 / 3)
    assert v_info(merged, truth) == 0.0


def test_volumes_are_scored_by_their_own_segments() -> None:
    truth = np.zeros((3, 4, 5), bool)
    truth[:, :, :2] = truth[:, :, 3:] = True
    prediction = truth.copy()
    prediction[1, 1, 2] = True  # joins them in the middle plane
    assert v_rand(prediction, truth, thin=False) == pytest.approx(2 / 3)
    planes = [v_rand(f, t, thin=False) for f, t in zip(prediction, truth)]
    assert planes == pytest.approx([1, 2 / 3, 1])


def test_without_a_true_segment_the_scores_are_perfect() -> None:
    nothing, all_of_it = np.zeros((3, 3), bool), np.ones((3, 3), bool)
    assert v_rand(all_of_it, nothing) == v_info(all_of_it, nothing) == 1.0
    assert rand_error(np.zeros((0, 3), int), np.zeros((0, 3), int)) == 0.0


@pytest.mark.parametrize("score", [rand_error, adapted_rand_error, v_rand, v_info])
@pytest.mark.parametrize(
    ("prediction", "truth", "message"),
    [
        (np.zeros((2, 2), int), np.zeros((2, 3), int), r"\(2, 3\) .* \(2, 2\)"),
        (np.zeros(2), np.zeros(2, int), "the segmentation is float64; give a map of bool"),
        (np.zeros(2, int), np.array([0, -1]), "the truth is int64"),
    ],
    ids=["shapes", "floats", "negative"],
)
def test_arrays_that_are_no_partition_are_refused(score, prediction, truth, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        score(prediction, truth)
