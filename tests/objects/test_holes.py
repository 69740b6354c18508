"""Holes that are filled block by block are those of the whole, to the byte."""

from __future__ import annotations

import contextlib
import functools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.morphology import remove_small_holes
from support.balls import some_balls
from support.hole_cases import LARGEST, filled_whole
from support.object_cases import BORDER, OBJECT, Case, cases, numbered_whole, rings

import bigunet
from bigunet.blocks import BlockGrid
from bigunet.errors import GeometryError, OptionError, OutputError
from bigunet.geometry import Box, Point
from bigunet.objects import filling
from bigunet.objects.filling import choose_filled
from bigunet.objects.holes import HoleFragments, filled_block, hole_labels, holes_of_labels
from bigunet.objects.rule import ObjectRule
from bigunet.objects.stitching import stitch


def filled_by_blocks(case: Case, largest: int, batch_size: int = 2**19) -> np.ndarray:
    """Classes with filled holes as workers make them, over the bytes of files."""
    grid = BlockGrid(Box.of_shape(case.classes.shape), case.block_shape)
    boxes = [grid.box(index) for index in np.ndindex(*grid.shape)]
    labels = [hole_labels(case.classes[box.within(grid.region)], case.rule) for box in boxes]
    files = [
        holes_of_labels(one, box, grid.region, ndim=case.ndim).to_bytes()
        for one, box in zip(labels, boxes, strict=True)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(filling, "stitch", functools.partial(stitch, batch_size=batch_size))
        chosen = choose_filled(grid, map(HoleFragments.from_bytes, files), largest=largest)
    flags = chosen.in_memory()
    assert flags.ids.dtype == bool
    filled = np.empty_like(case.classes)
    for number, (one, box) in enumerate(zip(labels, boxes, strict=True)):
        where = box.within(grid.region)
        is_filled = flags.of_block(number)[one]
        filled[where] = filled_block(case.classes[where], is_filled, case.rule)
    others = filled_whole(case.classes, largest, ndim=case.ndim, object_class=OBJECT)
    assert chosen.num_objects == num_holes(case, others)
    return filled


def num_holes(case: Case, filled: np.ndarray) -> int:
    structure = np.zeros((3,) * case.classes.ndim, int)
    cross = ndimage.generate_binary_structure(case.ndim, 1)
    structure[(1,) * case.frames] = cross
    return int(ndimage.label((filled == OBJECT) & (case.classes != OBJECT), structure)[1])


@settings(max_examples=max(60, settings.default.max_examples))
@given(cases(), LARGEST, st.sampled_from([1, 7, 2**19]))
def test_filled_holes_are_those_of_the_whole_for_any_blocks(
    case: Case, largest: int, batch_size: int
) -> None:
    ours = filled_by_blocks(case, largest, batch_size)
    expected = filled_whole(case.classes, largest, ndim=case.ndim, object_class=OBJECT)
    np.testing.assert_array_equal(ours, expected)


@settings(max_examples=max(60, settings.default.max_examples))
@given(cases(), LARGEST, st.sampled_from([None, BORDER]), st.integers(0, 2), st.integers(0, 9))
def test_objects_are_those_of_the_filled_whole_for_any_blocks(
    case: Case, largest: int, border: int | None, border_width: int, smallest: int
) -> None:
    rules = {"border": border, "border_width": border_width, "smallest": smallest}
    ours = bigunet.label_objects(
        case.classes,
        block_shape=case.block_shape,
        connectivity=case.connectivity,
        frames=case.frames,
        fill_holes=largest,
        **rules,
    )
    filled = filled_whole(case.classes, largest, ndim=case.ndim, object_class=OBJECT)
    expected = numbered_whole(replace(case, classes=filled), **rules)
    assert ours.dtype == expected.dtype
    np.testing.assert_array_equal(ours, expected)


@given(cases())
def test_without_a_limit_holes_are_those_of_scipy(case: Case) -> None:
    ours = filled_by_blocks(case, 10**9) == OBJECT
    for frame in np.ndindex(*case.classes.shape[: case.frames]):
        mask = case.classes[frame] == OBJECT
        if 1 not in mask.shape:
            np.testing.assert_array_equal(ours[frame], ndimage.binary_fill_holes(mask))


@given(cases(), st.sampled_from([1, 2, 5]))
def test_small_holes_are_those_of_scikit_image_if_the_image_has_a_wide_margin(
    case: Case, largest: int
) -> None:
    if case.frames:
        return
    wide = np.pad(case.classes == OBJECT, largest + 1)
    padded = Case(wide.astype(np.uint8), (7,) * case.ndim, case.connectivity, case.ndim)
    ours = filled_by_blocks(padded, largest)
    np.testing.assert_array_equal(ours, remove_small_holes(wide, max_size=largest))


@given(st.integers(0, 99), st.sampled_from([(7, 9), (16, 40), (40, 40)]), st.sampled_from([4, 99]))
def test_split_objects_are_those_of_the_filled_whole(
    seed: int, block_shape: Point, largest: int
) -> None:
    classes = some_balls((40, 40), seed, 10, 8) * (1 - some_balls((40, 40), seed + 1, 10, 3))
    split = bigunet.SplitRule(radius=3, reach=2)
    ours = bigunet.label_objects(
        classes, split=split, fill_holes=largest, block_shape=block_shape, smallest=5
    )
    filled = filled_whole(classes, largest, ndim=2, object_class=1)
    np.testing.assert_array_equal(ours, bigunet.label_objects(filled, split=split, smallest=5))


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_hole_around_a_corner_of_all_blocks_is_filled_from_its_size_on(ndim: int) -> None:
    classes = np.ones((8,) * ndim, np.uint8)
    classes[(slice(3, 5),) * ndim] = 0
    for largest in range(2**ndim):
        ours = bigunet.label_objects(classes, fill_holes=largest, block_shape=(4,) * ndim)
        np.testing.assert_array_equal(ours, classes)
    ours = bigunet.label_objects(classes, fill_holes=2**ndim, block_shape=(4,) * ndim)
    assert (ours == 1).all()


@pytest.mark.parametrize("block_shape", [(1, 1), (5, 7), (16, 16), (31, 31)])
def test_a_hole_as_large_as_the_image_within_its_frame_is_filled(block_shape: Point) -> None:
    classes = np.ones((31, 31), np.uint8)
    classes[1:-1, 1:-1] = 0
    size = 29 * 29
    open_one = bigunet.label_objects(classes, fill_holes=size - 1, block_shape=block_shape)
    np.testing.assert_array_equal(open_one, classes)
    assert (bigunet.label_objects(classes, fill_holes=size, block_shape=block_shape) == 1).all()
    classes[0, 30] = 0  # a corner of the frame: the hole does not leave over it
    assert bigunet.label_objects(classes, fill_holes=size, block_shape=block_shape).sum() == 960
    classes[0, 5] = 0  # the hole touches the side of the image
    open_one = bigunet.label_objects(classes, fill_holes=10**6, block_shape=block_shape)
    np.testing.assert_array_equal(open_one > 0, classes)


@pytest.mark.parametrize("block_shape", [(2, 3), (4, 4), (13, 13)])
def test_rings_in_rings_are_joined_where_the_holes_between_them_are_small(
    block_shape: Point,
) -> None:
    classes = rings((13, 13)).astype(np.uint8)
    assert [int((ndimage.label(1 - classes)[0] == n).sum()) for n in (1, 2, 3)] == [40, 24, 8]
    for largest, count in zip([7, 8, 24, 40], [4, 3, 2, 1], strict=True):
        ours = bigunet.label_objects(classes, fill_holes=largest, block_shape=block_shape)
        assert ours.max() == count


def test_an_object_inside_a_hole_does_not_count_for_its_size() -> None:
    classes = np.ones((7, 7), np.uint8)
    classes[1:-1, 1:-1] = 0
    classes[2:-2, 2:-2] = 1
    assert bigunet.label_objects(classes, fill_holes=15).max() == 2
    assert (bigunet.label_objects(classes, fill_holes=16) == 1).all()


@pytest.mark.parametrize("connectivity", [1, 2])
def test_a_hole_does_not_leave_over_a_corner(connectivity: int) -> None:
    classes = np.array(
        [
            [0, 0, 0, 0, 0, 0],
            [0, 1, 1, 1, 1, 0],
            [0, 1, 0, 0, 1, 0],
            [0, 1, 0, 1, 0, 0],
            [0, 1, 1, 1, 0, 0],
            [0, 0, 0, 0, 0, 0],
        ]
    )
    ours = bigunet.label_objects(classes, fill_holes=3, connectivity=connectivity)
    np.testing.assert_array_equal(ours, ndimage.binary_fill_holes(classes))


def test_border_voxels_of_a_filled_hole_are_of_the_object_and_others_return() -> None:
    classes = np.array([[1, 1, 1, 0], [1, 2, 1, 2], [1, 1, 1, 0]])
    filled = bigunet.label_objects(classes, border=2, border_width=0, fill_holes=1)
    assert filled.tolist() == [[1, 1, 1, 0], [1, 1, 1, 0], [1, 1, 1, 0]]
    # Eight voxels and the filled one are enough; without it, the object would be too small.
    grown = bigunet.label_objects(classes, border=2, fill_holes=1, smallest=9)
    assert grown.tolist() == [[1, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 0]]
    assert not bigunet.label_objects(classes, border=2, smallest=9).any()


@pytest.mark.parametrize(
    ("classes", "filled"),
    [
        ([[1, 0, 1, 0]], [[1, 1, 1, 0]]),  # an axis of one voxel has no sides
        ([[1], [0], [1]], [[1], [1], [1]]),
        ([[0]], [[0]]),  # nothing surrounds it
        ([[1]], [[1]]),
    ],
)
def test_an_axis_of_one_voxel_has_no_sides(
    classes: list[list[int]], filled: list[list[int]]
) -> None:
    ours = bigunet.label_objects(np.array(classes), fill_holes=9)
    assert (ours > 0).astype(int).tolist() == filled


def test_a_frame_is_filled_by_itself() -> None:
    classes = np.ones((3, 5), np.uint8)
    classes[1, 2] = classes[2, 0] = 0
    ours = bigunet.label_objects(classes, frames=1, fill_holes=1, block_shape=(2, 2))
    assert ours.tolist() == [[1] * 5, [2] * 5, [0, 3, 3, 3, 3]]


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 2, 2)])
def test_an_empty_array_has_no_holes(shape: Point) -> None:
    ours = bigunet.label_objects(np.zeros(shape, np.uint8), fill_holes=3)
    assert (ours.shape, ours.dtype) == (shape, np.uint32)


def test_a_class_that_the_type_cannot_hold_has_no_holes() -> None:
    classes = np.zeros((4, 4), np.uint8)
    assert not bigunet.label_objects(classes, object_class=300, fill_holes=9).any()


@given(st.data())
def test_damaged_bytes_are_refused_or_change_nothing(data: st.DataObject) -> None:
    box = Box((4, 4), (6, 6))
    holes = holes_of_labels(np.array([[1, 0], [0, 2]]), box, Box((0, 4), (9, 9)), ndim=2)
    assert holes.at_side.tolist() == [True, False]
    content = bytearray(holes.to_bytes())
    assert HoleFragments.from_bytes(bytes(content)).to_bytes() == bytes(content)
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(OutputError):
        assert HoleFragments.from_bytes(bytes(content)).to_bytes() == holes.to_bytes()


def test_fragments_of_objects_are_not_those_of_holes() -> None:
    box = Box((4, 4), (6, 6))
    holes = holes_of_labels(np.array([[1, 0], [0, 2]]), box, Box((0, 4), (9, 9)), ndim=2)
    with pytest.raises(OutputError, match="are not the holes of a block"):
        HoleFragments.from_bytes(holes.fragments.to_bytes())


@pytest.mark.parametrize("at_side", [np.zeros(2, bool), np.zeros(3, int)])
def test_holes_have_one_bool_each(at_side: Any) -> None:
    box = Box.of_shape((3,))
    holes = holes_of_labels(np.array([1, 0, 2]), box, box, ndim=1)
    with pytest.raises(GeometryError, match="give one bool for each"):
        HoleFragments(holes.fragments, at_side[:1] if at_side.dtype == bool else at_side[:2])


def test_what_cannot_be_filled_is_refused() -> None:
    with pytest.raises(OptionError, match="fill_holes -1 must be 0 or more voxels"):
        bigunet.label_objects(np.zeros((2, 2), int), fill_holes=-1)
    with pytest.raises(OptionError, match="largest -1 must be 0 or more voxels"):
        choose_filled(BlockGrid(Box((0,), (4,)), (2,)), [], largest=-1)
    with pytest.raises(GeometryError, match=r"classes \(2,\) and filled voxels \(1,\) differ"):
        filled_block(np.zeros(2, int), np.zeros(1, bool), ObjectRule(1))
