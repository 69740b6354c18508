"""Laws of labels and of the check of scores: ties, NaN, and any order of the memory."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bigunet.model.inference.score_maps import are_finite, labels_of
from bigunet.segmentation.run.block_values import count_classes

SHAPES = st.tuples(st.integers(1, 7), st.integers(1, 5), st.integers(1, 5))


def in_order(scores: np.ndarray, order: list[int]) -> torch.Tensor:
    """The same scores, with their axes in another order in memory."""
    stored = torch.from_numpy(np.ascontiguousarray(scores.transpose(order)))
    return stored.permute(list(np.argsort(order)))


@given(SHAPES.flatmap(lambda s: hnp.arrays(np.float32, s, elements=st.sampled_from([-1, 0, 0.5]))),
       st.permutations([0, 1, 2]))  # fmt: skip
def test_the_label_is_the_first_class_of_the_highest_score(scores: np.ndarray, order) -> None:
    expected = scores.argmax(0) if len(scores) > 1 else scores[0] > 0
    labels = labels_of(in_order(scores, order))
    assert labels.dtype == torch.uint8
    np.testing.assert_array_equal(labels.numpy(), expected)


@given(
    SHAPES.flatmap(
        lambda s: hnp.arrays(
            np.float32,
            s,
            elements=st.sampled_from([0.0, 3.4e38, np.nan, np.inf, -np.inf]),
            fill=st.just(0.0),
        )
    ),
    st.permutations([0, 1, 2]),
)
def test_scores_are_finite_if_each_of_them_is(scores: np.ndarray, order) -> None:
    assert bool(are_finite(in_order(scores, order))) == np.isfinite(scores).all()


@given(st.integers(2, 50), st.data())
def test_the_counts_of_classes_are_those_of_a_histogram(num_classes: int, data) -> None:
    labels = data.draw(hnp.arrays(np.uint8, (4, 9), elements=st.integers(0, num_classes - 1)))
    expected = np.bincount(labels.ravel(), minlength=num_classes).tolist()
    assert count_classes({"classes": labels}, num_classes) == expected
