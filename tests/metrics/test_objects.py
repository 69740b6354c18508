"""Object matching against its definition, written out as loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from bigunet.errors import OptionError
from bigunet.metrics.matches import Coverage, Matches
from bigunet.metrics.objects import (
    average_precision,
    average_precisions,
    match_objects,
    panoptic_quality,
    seg_score,
)

LAW = settings(deadline=None)  # a busy machine stalls for longer than a law takes
LABELS = npst.arrays(np.int32, (4, 5), elements=st.sampled_from([0, 0, 1, 1, 4, 9]))
UNSIGNED = LABELS.map(lambda labels: labels.astype(np.uint64) * 2**40)


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def by_loops(truth: np.ndarray, prediction: np.ndarray, iou: float) -> Matches:
    true_ids = [i for i in np.unique(truth) if i]
    predicted_ids = [i for i in np.unique(prediction) if i]
    pairs = []
    for t in true_ids:
        for f in predicted_ids:
            union = ((truth == t) | (prediction == f)).sum()
            if ((truth == t) & (prediction == f)).sum() > iou * union:
                pairs.append(overlap(truth == t, prediction == f))
    return Matches(
        len(pairs),
        len(true_ids) - len(pairs),
        len(predicted_ids) - len(pairs),
        pytest.approx(sum(pairs)),
    )


@LAW
@given(LABELS, LABELS | UNSIGNED, st.sampled_from([0.5, 0.6, 0.75, 0.9]))
def test_matches_are_those_of_the_definition(
    truth: np.ndarray, prediction: np.ndarray, iou: float
) -> None:
    assert match_objects(truth, prediction, iou=iou) == by_loops(truth, prediction, iou)


@LAW
@given(LABELS, LABELS)
def test_panoptic_quality_is_that_of_the_definition(
    truth: np.ndarray, prediction: np.ndarray
) -> None:
    counts = by_loops(truth, prediction, 0.5)
    doubled = 2 * counts.matched + counts.missed + counts.spurious
    expected = 2 * match_objects(truth, prediction).iou_sum / doubled if doubled else 1.0
    assert panoptic_quality(truth, prediction) == pytest.approx(expected)


@LAW
@given(LABELS, LABELS)
def test_seg_is_the_overlap_with_the_object_that_covers_more_than_half(
    truth: np.ndarray, prediction: np.ndarray
) -> None:
    ids = [i for i in np.unique(truth) if i]
    overlaps = [0.0] * len(ids)
    for k, t in enumerate(ids):
        for f in np.unique(prediction[prediction > 0]):
            if 2 * ((truth == t) & (prediction == f)).sum() > (truth == t).sum():
                overlaps[k] = overlap(truth == t, prediction == f)
    expected = sum(overlaps) / len(ids) if ids else 1.0
    assert seg_score(truth, prediction) == pytest.approx(expected)


@LAW
@given(LABELS, LABELS)
def test_all_thresholds_come_from_one_table(truth: np.ndarray, prediction: np.ndarray) -> None:
    scores = average_precisions(truth, prediction)
    assert list(scores) == [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]
    assert scores == {iou: average_precision(truth, prediction, iou=iou) for iou in scores}
    assert sorted(scores.values(), reverse=True) == list(scores.values())


@LAW
@given(LABELS)
def test_the_truth_itself_scores_one(truth: np.ndarray) -> None:
    assert average_precision(truth, truth * 3) == 1.0


@LAW
@given(LABELS, LABELS)
def test_exchanging_the_two_exchanges_missed_and_spurious(a: np.ndarray, b: np.ndarray) -> None:
    one, other = match_objects(a, b), match_objects(b, a)
    swapped = Matches(other.matched, other.spurious, other.missed, pytest.approx(other.iou_sum))
    assert one == swapped


def test_half_an_overlap_is_not_more_than_half() -> None:
    assert average_precision(np.array([1, 1]), np.array([1, 0])) == 0.0
    assert average_precision(np.array([1, 1, 1]), np.array([1, 1, 0])) == 1.0


@pytest.mark.parametrize(
    ("truth", "prediction", "expected"),
    [
        ([0, 0], [0, 0], 1.0),  # no objects on either side
        ([0, 0], [1, 0], 0.0),  # all spurious
        ([1, 0], [0, 0], 0.0),  # all missed
        ([1, 0, 2, 0], [1, 0, 0, 0], 0.5),
    ],
)
def test_few_objects_score_as_expected(
    truth: list[int], prediction: list[int], expected: float
) -> None:
    assert average_precision(np.array(truth), np.array(prediction)) == expected


def test_images_add_up_object_by_object() -> None:
    both = Matches(3, 1, 0, 2.5) + Matches(1, 2, 3, 1.0)
    assert both.average_precision == 0.4
    assert both.segmentation_quality == 0.875
    assert both.panoptic_quality == pytest.approx(3.5 / 7)
    assert (Coverage(3, 1.5) + Coverage(1, 0.5)).seg == 0.5


def test_an_empty_prediction_of_an_empty_truth_is_perfect() -> None:
    empty = np.zeros((3, 3), int)
    assert panoptic_quality(empty, empty) == seg_score(empty, empty) == 1.0
    assert panoptic_quality(empty, empty + 1) == 0.0
    assert seg_score(empty + 1, empty) == 0.0


def test_without_pairs_there_is_no_segmentation_quality() -> None:
    none = Matches(0, 2, 1)
    assert math.isnan(none.segmentation_quality)
    assert none.panoptic_quality == none.recognition_quality == 0.0


@pytest.mark.parametrize(
    ("truth", "prediction", "iou", "message"),
    [
        (np.zeros((2, 2), int), np.zeros((2, 3), int), 0.5, r"\(2, 2\) .* \(2, 3\)"),
        (np.zeros(2), np.zeros(2, int), 0.5, "the truth is float64"),
        (np.zeros(2, int), np.array([0, -1]), 0.5, "the segmentation is int64"),
        (np.zeros(2, int), np.zeros(2, int), 0.4, "iou is 0.4"),
    ],
    ids=["shapes", "floats", "negative", "ambiguous"],
)
def test_arrays_that_cannot_be_matched_are_refused(
    truth: np.ndarray, prediction: np.ndarray, iou: float, message: str
) -> None:
    with pytest.raises(OptionError, match=message):
        match_objects(truth, prediction, iou=iou)
