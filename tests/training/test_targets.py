"""Laws of targets: the classes that each kind makes of labels, and that objects stay apart."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy import ndimage

from bigunet.errors import TrainingError
from bigunet.training.data.targets import (
    BACKGROUND,
    BORDER,
    BOUNDARY,
    CELL,
    INTERIOR,
    TargetRule,
    classes_of,
)

SMALL = npst.arrays(
    np.int64,
    npst.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=7),
    # The two large ones are equal in float64.
    elements=st.sampled_from([0, 0, 1, 2, 2**63 - 2, 2**63 - 1]),
)
BLOCKS = SMALL.map(lambda small: np.kron(small, np.ones((3,) * small.ndim, np.int64)))
LABELS = SMALL | BLOCKS
WIDTHS = st.integers(0, 3)


def near(labels: np.ndarray, length: Any, width: int) -> np.ndarray:
    """Voxels with two different objects within ``width``: the reference, shift by shift."""
    padded = np.pad(labels, width)
    neighbours = []
    for step in itertools.product(range(2 * width + 1), repeat=labels.ndim):
        if length(np.abs(np.subtract(step, width))) <= width:
            neighbours.append(padded[tuple(slice(s, s + n) for s, n in zip(step, labels.shape))])
    ordered = np.sort(neighbours, axis=0)
    differs = (ordered[1:] != ordered[:-1]) & (ordered[:-1] != 0)
    return np.asarray(differs.any(axis=0))


@given(SMALL, WIDTHS)
@settings(deadline=None)
def test_borders_of_cells_are_where_two_objects_are_near(labels: np.ndarray, width: int) -> None:
    classes = classes_of(labels, TargetRule("cells", border_width=width))
    expected = np.where(near(labels, np.max, width), BORDER, labels != 0)
    assert classes.dtype == np.uint8
    np.testing.assert_array_equal(classes, expected)


@given(SMALL, WIDTHS)
@settings(deadline=None)
def test_boundaries_are_label_0_and_where_two_objects_are_near(
    labels: np.ndarray, width: int
) -> None:
    classes = classes_of(labels, TargetRule("boundaries", border_width=width))
    expected = np.where(near(labels, np.sum, width) | (labels == 0), BOUNDARY, INTERIOR)
    np.testing.assert_array_equal(classes, expected)


@given(LABELS, st.integers(1, 3))
def test_connected_cells_never_join_two_objects(labels: np.ndarray, width: int) -> None:
    everywhere = np.ones((3,) * labels.ndim)
    cells = classes_of(labels, TargetRule("cells", border_width=width)) == CELL
    components, count = ndimage.label(cells, everywhere)
    for number in range(1, count + 1):
        assert len(np.unique(labels[components == number])) == 1


@given(LABELS, st.integers(1, 3))
def test_connected_interiors_never_join_two_objects(labels: np.ndarray, width: int) -> None:
    interior = classes_of(labels, TargetRule("boundaries", border_width=width)) == INTERIOR
    components, count = ndimage.label(interior)
    for number in range(1, count + 1):
        assert len(np.unique(labels[components == number])) == 1


@given(LABELS, WIDTHS, st.sampled_from(["cells", "boundaries"]), st.data())
def test_a_part_with_its_margin_around_equals_the_part_of_the_whole(
    labels: np.ndarray, width: int, kind: Any, data: st.DataObject
) -> None:
    rule = TargetRule(kind, border_width=width)
    start = [data.draw(st.integers(0, size - 1)) for size in labels.shape]
    stop = [data.draw(st.integers(a + 1, size)) for a, size in zip(start, labels.shape)]
    low = [max(0, a - rule.margin) for a in start]
    around = tuple(slice(a, b + rule.margin) for a, b in zip(low, stop))
    within = tuple(slice(a - v, b - v) for a, b, v in zip(start, stop, low))
    part = classes_of(labels[around], rule)[within]
    whole = classes_of(labels, rule)[tuple(slice(a, b) for a, b in zip(start, stop))]
    np.testing.assert_array_equal(part, whole)


@given(LABELS, WIDTHS)
def test_without_a_border_cells_are_all_objects(labels: np.ndarray, width: int) -> None:
    wide = classes_of(labels, TargetRule("cells", border_width=width))
    bare = classes_of(labels, TargetRule("cells", border_width=0))
    np.testing.assert_array_equal(bare, labels != 0)
    np.testing.assert_array_equal(bare[wide == CELL], 1)
    np.testing.assert_array_equal(bare[wide == BACKGROUND], 0)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint64])
def test_the_type_of_labels_does_not_matter(dtype: Any) -> None:
    high = int(np.iinfo(dtype).max)
    labels = np.array([0, 1, 1, 1, high, high, high, 0], dtype)
    np.testing.assert_array_equal(classes_of(labels, TargetRule("cells")), [0, 1, 1, 2, 2, 1, 1, 0])


def test_objects_may_be_the_whole_of_a_boolean_image() -> None:
    labels = np.array([False, True, True])
    np.testing.assert_array_equal(classes_of(labels, TargetRule("cells")), [0, 1, 1])
    np.testing.assert_array_equal(classes_of(labels, TargetRule("classes", (1, 0))), [1, 0, 0])


@given(st.lists(st.integers(-200, 70000), min_size=2, max_size=256, unique=True), st.data())
def test_values_become_their_place_in_the_list(values: list[int], data: st.DataObject) -> None:
    places = data.draw(npst.arrays(np.uint8, (3, 4), elements=st.integers(0, len(values) - 1)))
    labels = np.array(values)[places]
    rule = TargetRule("classes", tuple(values))
    np.testing.assert_array_equal(classes_of(labels, rule), places)
    assert rule.num_classes == len(values)
    assert rule.margin == 0


@pytest.mark.parametrize("stranger", [3, 9, -1, 2**62])
def test_a_value_that_is_no_class_is_named(stranger: int) -> None:
    labels = np.array([[0, 2], [7, stranger]])
    with pytest.raises(TrainingError, match=rf"label {stranger} is none of .* 7, 0, 2;"):
        classes_of(labels, TargetRule("classes", (7, 0, 2)))


def test_labels_that_are_no_integers_are_refused() -> None:
    with pytest.raises(TrainingError, match="labels are float32"):
        classes_of(np.zeros((2, 2), np.float32), TargetRule("cells"))


@pytest.mark.parametrize(
    ("rule", "names"),
    [
        (TargetRule("cells"), ("background", "cell", "border")),
        (TargetRule("cells", border_width=0), ("background", "cell")),
        (TargetRule("boundaries", border_width=2), ("boundary", "interior")),
        (TargetRule("boundaries", border_width=0), ("boundary", "interior")),
        (TargetRule("classes", (0, 5)), ("background", "class 5")),
    ],
)
def test_each_class_has_a_name(rule: TargetRule, names: tuple[str, ...]) -> None:
    assert rule.class_names == names
    assert rule.num_classes == len(names)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"kind": "nuclei"}, "target is 'nuclei'; known: classes, cells, boundaries"),
        ({"kind": "cells", "border_width": -1}, "border_width is -1"),
        ({"kind": "cells", "values": (1, 2)}, "the target cells takes no values"),
        ({"kind": "classes", "values": (4,)}, "1 values for classes; give 2 to 256"),
        ({"kind": "classes", "values": tuple(range(257))}, "257 values"),
        ({"kind": "classes", "values": (1, 2, 1)}, r"values 1 come twice"),
    ],
)
def test_rules_that_do_not_fit_together_are_refused(numbers: Any, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        TargetRule(**numbers)
