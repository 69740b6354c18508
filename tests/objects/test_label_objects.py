"""Objects that are numbered block by block are those of the whole, to the byte."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.object_cases import BORDER, Case, cases, checkerboard, numbered_whole, spiral

import bigunet
from bigunet.errors import BigUNetError, GeometryError, LabelsError, OptionError
from bigunet.geometry import Point


def assert_same(ours: np.ndarray, expected: np.ndarray) -> None:
    assert ours.dtype == expected.dtype
    assert ours.shape == expected.shape
    assert ours.tobytes() == expected.tobytes()


@settings(max_examples=max(150, settings.default.max_examples))
@given(cases(), st.sampled_from([None, BORDER]), st.integers(0, 3), st.integers(0, 9))
def test_objects_are_those_of_the_whole_for_any_blocks(
    case: Case, border: int | None, border_width: int, smallest: int
) -> None:
    rules = {"border": border, "border_width": border_width, "smallest": smallest}
    ours = bigunet.label_objects(
        case.classes,
        block_shape=case.block_shape,
        connectivity=case.connectivity,
        frames=case.frames,
        **rules,
    )
    assert_same(ours, numbered_whole(case, **rules))


@pytest.mark.parametrize("block_shape", [(1, 1), (5, 7), (16, 16), (31, 31), (99, 1)])
def test_a_spiral_through_all_blocks_is_one_object(block_shape: Point) -> None:
    arm = spiral((31, 31))
    assert 0.45 < arm.mean() < 0.6
    assert_same(bigunet.label_objects(arm, block_shape=block_shape), arm.astype(np.uint32))


@pytest.mark.parametrize(
    ("ndim", "apart", "least"),
    [(2, (1, -1), 2), (2, (1, 1), 2)]
    + [(3, (*plane, 0), 2) for plane in [(1, 1), (1, -1)]]
    + [(3, (0, 1, -1), 2), (3, (1, 0, -1), 2)]
    + [(3, (1, *rest), 3) for rest in itertools.product((-1, 1), repeat=2)],
)
def test_objects_that_touch_at_a_corner_of_blocks_are_one_from_the_connectivity_that_says_so(
    ndim: int, apart: Point, least: int
) -> None:
    first = tuple(3 if step >= 0 else 4 for step in apart)
    classes = np.zeros((8,) * ndim, np.uint8)
    classes[first] = classes[tuple(a + b for a, b in zip(first, apart))] = 1
    for connectivity in range(1, ndim + 1):
        ours = bigunet.label_objects(classes, connectivity=connectivity, block_shape=(4,) * ndim)
        assert ours.max() == (1 if connectivity >= least else 2)
        assert ours[first] == 1


@pytest.mark.parametrize("block_shape", [None, (1, 2), (2, 1), (3, 2)])
def test_objects_do_not_grow_into_other_frames(block_shape: Point | None) -> None:
    classes = np.array([[1, 2], [2, 2], [2, 1]])
    ours = bigunet.label_objects(classes, border=2, frames=1, block_shape=block_shape)
    assert ours.tolist() == [[1, 1], [0, 0], [2, 2]]


def test_frames_never_share_an_object_and_ids_go_on() -> None:
    classes = np.tile(np.array([1, 2, 0, 1], np.uint8), (2, 2, 1))
    for block_shape in [(1, 1, 4), (2, 2, 4), (2, 1, 1), None]:
        ours = bigunet.label_objects(classes, border=2, frames=2, block_shape=block_shape)
        assert ours.reshape(4, 4).tolist() == [[n, n, 0, n + 1] for n in (1, 3, 5, 7)]
    assert bigunet.label_objects(classes).max() == 2


def test_ids_follow_the_first_voxel_and_not_the_blocks() -> None:
    classes = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]])
    for block_shape in [(3, 3), (3, 1), (1, 3), (2, 2)]:
        ours = bigunet.label_objects(classes, block_shape=block_shape)
        assert ours.tolist() == [[0, 0, 1], [2, 0, 0], [0, 3, 0]]


def test_a_block_may_have_more_fragments_than_16_bits_count() -> None:
    board = checkerboard((400, 400))
    for block_shape in [(400, 400), (400, 390)]:
        ours = bigunet.label_objects(board, block_shape=block_shape)
        assert ours.max() == 80_000
        assert_same(ours, np.where(board, np.cumsum(board).reshape(400, 400), 0).astype(np.uint32))


def test_a_fragment_that_is_small_in_its_block_belongs_to_a_large_object() -> None:
    classes = np.array([1, 1, 1, 1, 0, 1])
    ours = bigunet.label_objects(classes, smallest=4, block_shape=(3,))
    assert ours.tolist() == [1, 1, 1, 1, 0, 0]


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 2, 2)])
def test_an_empty_array_has_no_objects(shape: Point) -> None:
    ours = bigunet.label_objects(np.zeros(shape, np.uint8), border=2)
    assert (ours.shape, ours.dtype) == (shape, np.uint32)


class Counted:
    """Classes that note the largest box that is read of them."""

    def __init__(self, classes: np.ndarray) -> None:
        self._classes, self.shape, self.dtype = classes, classes.shape, classes.dtype
        self.most = 0

    def __getitem__(self, where: tuple[slice, ...]) -> np.ndarray:
        self.most = max(self.most, self._classes[where].size)
        return self._classes[where]


def test_no_more_than_a_block_and_its_halo_is_read_at_a_time() -> None:
    classes = np.random.default_rng(0).integers(0, 3, (40, 30))
    counted = Counted(classes)
    ours = bigunet.label_objects(counted, border=2, border_width=2, block_shape=(8, 6))
    assert counted.most == 12 * 10
    assert_same(ours, bigunet.label_objects(classes, border=2, border_width=2))


@pytest.mark.parametrize(
    ("classes", "rules", "error", "match"),
    [
        (np.zeros((1, 2, 3, 4), int), {}, LabelsError, "classes have 4 axes; give 1 to 3"),
        (np.zeros((1, 2), int), {"frames": 2}, LabelsError, "2 axes; give 1 to 3 and those"),
        (np.zeros((1, 2), int), {"frames": -1}, OptionError, "frames -1 must be 0 or more"),
        (np.zeros((1, 2), int), {"connectivity": 3}, OptionError, "objects of 2 axes; give 1 to 2"),
        (np.zeros((1, 2), int), {"connectivity": 0}, OptionError, "objects of 2 axes; give 1 to 2"),
        (np.ones(3, int), {"object_class": -1}, OptionError, "object_class -1 and border None"),
        (np.ones(3, int), {"border": -1}, OptionError, "border -1 must be classes, 0 or more"),
        (np.array(1), {}, LabelsError, "classes have 0 axes; give 1 to 3"),
        (np.zeros(3), {}, LabelsError, "of type float64; give whole numbers"),
        (np.ones(3, int), {"border": 1}, OptionError, "border 1 is the class of the objects"),
        (np.ones(3, int), {"smallest": -1}, OptionError, "smallest -1 must be 0 or more"),
        (np.ones(3, int), {"border_width": -2}, OptionError, "border_width -2 and"),
        (np.ones(3, int), {"block_shape": (2, 2)}, GeometryError, "2 axes for a volume of 1"),
        (np.ones(3, int), {"block_shape": (0,)}, GeometryError, "has an empty axis"),
    ],
)
def test_what_cannot_be_labelled_is_refused(
    classes: np.ndarray, rules: dict[str, Any], error: type[BigUNetError], match: str
) -> None:
    with pytest.raises(error, match=match):
        bigunet.label_objects(classes, **rules)
