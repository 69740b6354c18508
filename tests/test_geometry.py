"""Laws of boxes, held against sets of voxels."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bigunet.errors import BigUNetError, GeometryError
from bigunet.geometry import Box, Point, ceil_div, hull, round_up

LAW = settings(deadline=None)
COORDINATE = st.integers(-6, 6)


@st.composite
def boxes(draw: st.DrawFn, *, ndim: int, min_side: int = 0) -> Box:
    start = tuple(draw(COORDINATE) for _ in range(ndim))
    sides = (draw(st.integers(min_side, 5)) for _ in range(ndim))
    return Box(start, tuple(a + n for a, n in zip(start, sides)))


@st.composite
def pairs(draw: st.DrawFn, *, min_side: int = 0) -> tuple[Box, Box]:
    ndim = draw(st.integers(1, 3))
    return draw(boxes(ndim=ndim, min_side=min_side)), draw(boxes(ndim=ndim, min_side=min_side))


@st.composite
def moved(draw: st.DrawFn) -> tuple[Box, Point]:
    box = draw(boxes(ndim=draw(st.integers(1, 3))))
    return box, tuple(draw(COORDINATE) for _ in range(box.ndim))


def voxels(box: Box) -> set[Point]:
    return set(itertools.product(*(range(a, b) for a, b in zip(box.start, box.stop))))


@LAW
@given(pairs())
def test_a_box_is_its_set_of_voxels(pair: tuple[Box, Box]) -> None:
    one, other = pair
    assert one.size == len(voxels(one))
    assert one.contains(other) == (voxels(other) <= voxels(one))
    assert voxels(one.intersection(other)) == voxels(one) & voxels(other)
    assert Box.of_shape(one.shape).shape == one.shape


@LAW
@given(pairs(min_side=1))
def test_the_hull_is_the_smallest_box_with_all_voxels_of_both(pair: tuple[Box, Box]) -> None:
    one, other = pair
    both = one.hull(other)
    points = np.array(sorted(voxels(one) | voxels(other)))
    assert both.contains(one)
    assert both.contains(other)
    assert both.start == tuple(points.min(axis=0))
    assert both.stop == tuple(points.max(axis=0) + 1)
    assert hull(iter(pair)) == both == other.hull(one)


@LAW
@given(moved())
def test_a_shift_moves_every_voxel(case: tuple[Box, Point]) -> None:
    box, by = case
    expected = {tuple(v + d for v, d in zip(voxel, by)) for voxel in voxels(box)}
    assert voxels(box.shift(by)) == expected
    assert box.shift(by).shift([-d for d in by]) == box


@LAW
@given(moved())
def test_growing_adds_the_margin_on_both_sides(case: tuple[Box, Point]) -> None:
    box, signed = case
    margin = [abs(m) for m in signed]
    grown = box.grow(margin)
    assert grown.shape == tuple(n + 2 * m for n, m in zip(box.shape, margin))
    assert grown.shift(margin).start == box.start
    assert grown.grow([-m for m in margin]) == box


@LAW
@given(pairs(min_side=1))
def test_slices_within_a_box_select_the_same_voxels(pair: tuple[Box, Box]) -> None:
    one, other = pair
    outer = one.hull(other)
    where = np.stack(np.meshgrid(*map(np.arange, outer.start, outer.stop), indexing="ij"), axis=-1)
    selected = where[one.within(outer)]
    assert selected.shape == (*one.shape, one.ndim)
    assert set(map(tuple, selected.reshape(-1, one.ndim).tolist())) == voxels(one)


@LAW
@given(pairs(min_side=1))
def test_slices_exist_just_where_the_outer_box_contains_the_inner(pair: tuple[Box, Box]) -> None:
    inner, outer = pair
    if outer.contains(inner):
        inner.within(outer)
    else:
        with pytest.raises(GeometryError, match="is not within"):
            inner.within(outer)


@pytest.mark.parametrize(
    ("start", "stop", "message"),
    [
        ((0, 0), (1,), r"start \(0, 0\) and stop \(1,\) differ in length"),
        ((3,), (2,), r"stops at \(2,\) before it starts at \(3,\)"),
    ],
)
def test_impossible_boxes_are_refused(start: Point, stop: Point, message: str) -> None:
    with pytest.raises(GeometryError, match=message):
        Box(start, stop)


def test_boxes_of_different_axes_are_not_within_each_other() -> None:
    with pytest.raises(GeometryError, match=r"\[0:1\] is not within \[0:4, 0:4\]"):
        Box((0,), (1,)).within(Box.of_shape((4, 4)))


def test_a_margin_below_minus_half_the_box_is_refused() -> None:
    with pytest.raises(GeometryError, match="before it starts"):
        Box.of_shape((4,)).grow([-3])


def test_numpy_integers_become_plain_ones() -> None:
    box = Box(tuple(np.array([1, 2])), tuple(np.array([3, 4])))
    assert all(type(v) is int for v in (*box.start, *box.stop))
    assert hash(box) == hash(Box((1, 2), (3, 4)))


def test_a_geometry_error_is_a_value_error_and_of_bigunet() -> None:
    assert issubclass(GeometryError, ValueError)
    assert issubclass(GeometryError, BigUNetError)


@LAW
@given(st.integers(-(10**18), 10**18), st.integers(1, 10**9))
def test_rounding_up_is_exact_for_large_and_negative_numbers(value: int, step: int) -> None:
    assert (ceil_div(value, step) - 1) * step < value <= ceil_div(value, step) * step
    assert round_up(value, step) % step == 0
    assert value <= round_up(value, step) < value + step
