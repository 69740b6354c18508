"""Object matching against its definition, written out as loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from bigunet.errors import OptionError
from bigunet.metrics.objects import Matches, average_precision, match_objects

LABELS = npst.arrays(np.int32, (4, 5), elements=st.sampled_from([0, 0, 1, 1, 4, 9]))
UNSIGNED = LABELS.map(lambda labels: labels.astype(np.uint64) * 2**40)


def by_loops(truth: np.ndarray, found: np.ndarray, iou: float) -> Matches:
    true_ids = [i for i in np.unique(truth) if i]
    found_ids = [i for i in np.unique(found) if i]
    pairs = 0
    for t in true_ids:
        for f in found_ids:
            union = ((truth == t) | (found == f)).sum()
            pairs += int(((truth == t) & (found == f)).sum() > iou * union)
    return Matches(pairs, len(true_ids) - pairs, len(found_ids) - pairs)


@given(LABELS, LABELS | UNSIGNED, st.sampled_from([0.5, 0.6, 0.75, 0.9]))
def test_matches_are_those_of_the_definition(
    truth: np.ndarray, found: np.ndarray, iou: float
) -> None:
    assert match_objects(truth, found, iou=iou) == by_loops(truth, found, iou)


@given(LABELS)
def test_the_truth_itself_scores_one(truth: np.ndarray) -> None:
    assert average_precision(truth, truth * 3) == 1.0


@given(LABELS, LABELS)
def test_exchanging_the_two_exchanges_missed_and_spurious(a: np.ndarray, b: np.ndarray) -> None:
    one, other = match_objects(a, b), match_objects(b, a)
    assert one == Matches(other.matched, other.spurious, other.missed)


def test_half_an_overlap_is_not_more_than_half() -> None:
    assert average_precision(np.array([1, 1]), np.array([1, 0])) == 0.0
    assert average_precision(np.array([1, 1, 1]), np.array([1, 1, 0])) == 1.0


@pytest.mark.parametrize(
    ("truth", "found", "expected"),
    [
        ([0, 0], [0, 0], 1.0),  # nothing to find
        ([0, 0], [1, 0], 0.0),  # all spurious
        ([1, 0], [0, 0], 0.0),  # all missed
        ([1, 0, 2, 0], [1, 0, 0, 0], 0.5),
    ],
)
def test_few_objects_score_as_expected(truth: list[int], found: list[int], expected: float) -> None:
    assert average_precision(np.array(truth), np.array(found)) == expected


def test_images_add_up_object_by_object() -> None:
    assert (Matches(3, 1, 0) + Matches(1, 2, 3)).average_precision == 0.4


@pytest.mark.parametrize(
    ("truth", "found", "iou", "message"),
    [
        (np.zeros((2, 2), int), np.zeros((2, 3), int), 0.5, r"\(2, 2\) .* \(2, 3\)"),
        (np.zeros(2), np.zeros(2, int), 0.5, "the truth is float64"),
        (np.zeros(2, int), np.array([0, -1]), 0.5, "the segmentation is int64"),
        (np.zeros(2, int), np.zeros(2, int), 0.4, "iou is 0.4"),
    ],
    ids=["shapes", "floats", "negative", "ambiguous"],
)
def test_what_cannot_be_matched_is_refused(
    truth: np.ndarray, found: np.ndarray, iou: float, message: str
) -> None:
    with pytest.raises(OptionError, match=message):
        match_objects(truth, found, iou=iou)
