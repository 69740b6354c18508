"""Equal tiles are computed once; the predictions are those of the predictor."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bigunet.model.inference.forward import Prediction
from bigunet.model.inference.recall import Recalled, RecallingPredictor

INNER = (slice(0, 3), slice(1, 4))


class _Counting:
    """A predictor without a network: its labels are the voxels of the tile."""

    def begin(self, tile, inner, *, probabilities=False) -> Recalled:
        labels = tile[0][tuple(inner)].copy()
        chances = tile[:, :3, 1:4].copy() if probabilities else None
        return Recalled(Prediction(labels, chances))


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=30), st.integers(0, 60))
def test_predictions_are_those_of_the_predictor_whatever_was_kept(calls, limit) -> None:
    recalling = RecallingPredictor(_Counting(), limit_bytes=limit)
    for value, probabilities in calls:
        tile = np.full((1, 4, 4), value, np.uint8)
        prediction = recalling.begin(tile, INNER, probabilities=probabilities).result()
        assert (prediction.labels == value).all()
        assert (prediction.probabilities is not None) == probabilities


def test_equal_tiles_are_computed_once_and_different_tiles_each() -> None:
    recalling = RecallingPredictor(_Counting())
    zeros, ones = np.zeros((1, 4, 4), np.uint8), np.ones((1, 4, 4), np.uint8)
    for tile in (zeros, ones, zeros, ones, zeros):
        recalling.begin(tile, INNER).result()
    assert recalling.num_computed == 2
    recalling.begin(zeros.astype(np.uint16), INNER).result()
    recalling.begin(zeros, (slice(1, 4), slice(1, 4))).result()
    recalling.begin(zeros, INNER, probabilities=True).result()
    assert recalling.num_computed == 5


def test_the_kept_predictions_never_exceed_the_limit() -> None:
    recalling = RecallingPredictor(_Counting(), limit_bytes=20)
    for value in range(5):
        recalling.begin(np.full((1, 4, 4), value, np.uint8), INNER).result()
    recalling.begin(np.full((1, 4, 4), 4, np.uint8), INNER).result()
    assert recalling.num_computed == 5
    recalling.begin(np.full((1, 4, 4), 0, np.uint8), INNER).result()
    assert recalling.num_computed == 6


def test_a_prediction_larger_than_the_limit_is_not_kept_and_drops_no_other() -> None:
    recalling = RecallingPredictor(_Counting(), limit_bytes=20)
    small, large = np.zeros((1, 4, 4), np.uint8), np.ones((1, 9, 9), np.uint8)
    whole = (slice(0, 9), slice(0, 9))
    recalling.begin(small, INNER).result()
    for _ in range(2):
        recalling.begin(large, whole).result()
    assert recalling.num_computed == 3
    recalling.begin(small, INNER).result()
    assert recalling.num_computed == 3
