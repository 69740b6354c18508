"""Laws of the times of passes that a forecast is made of."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigunet.geometry import Point
from bigunet.model.networks.unet import UNetConfig
from bigunet.segmentation.pass_times import PassTimes, Timed, largest_in_time, similar_shapes

seconds = st.floats(1e-6, 1e3)
sides = st.integers(1, 500)


def voxels(shape: Point) -> float:
    return float(math.prod(shape))


@given(fixed=st.floats(0, 10), rate=st.floats(1e-9, 1e-3), small=sides, more=sides, other=sides)
def test_a_fixed_time_and_a_rate_are_measured_from_two_shapes(
    fixed: float, rate: float, small: int, more: int, other: int
) -> None:
    shapes = [(small, small), (small + more, small + more)]
    timed = [Timed(shape, 0.5, fixed + rate * voxels(shape)) for shape in shapes]
    times = PassTimes.of(timed, voxels)
    expected = fixed + rate * voxels((other, other))
    assert times.seconds((other, other)) == pytest.approx(expected, rel=1e-3, abs=1e-3)
    assert times.compile_seconds == 0.5


@given(first=seconds, last=seconds, small=sides, more=st.integers(0, 500), other=sides)
def test_times_meet_the_larger_shape_and_grow_with_work(
    first: float, last: float, small: int, more: int, other: int
) -> None:
    timed = [Timed((small,), 0.0, first), Timed((small + more,), 0.0, last)]
    times = PassTimes.of(timed, voxels)
    assert times.seconds((small + more,)) == pytest.approx(last)
    assert 0 <= times.seconds((other,)) <= times.seconds((other + 1,))


@given(
    depth=st.integers(1, 3),
    tile=st.tuples(sides, sides),
    pass_seconds=seconds,
    left=st.floats(0, 1e4),
)
def test_the_largest_shape_that_the_time_allows_is_measured(
    depth: int, tile: Point, pass_seconds: float, left: float
) -> None:
    field = UNetConfig(width=2, depth=depth).receptive_field()
    whole = field.input_shape(tile)
    shapes = similar_shapes(field, whole)
    assert shapes[0] == whole
    assert all(field.input_shape([n - 2 * h for n, h in zip(one, field.halo)]) == one
               for one in shapes)  # fmt: skip
    small = Timed(field.input_shape(field.stride), 0.25, pass_seconds)

    def expected(shape: Point) -> float:
        return 0.25 + 3 * pass_seconds * voxels(shape) / voxels(small.shape)

    chosen = largest_in_time(small, shapes, voxels, left)
    fitting = [one for one in shapes if voxels(one) > voxels(small.shape) and expected(one) <= left]
    assert (chosen is None) == (not fitting)
    if chosen is not None:
        assert voxels(chosen) == max(map(voxels, fitting))
