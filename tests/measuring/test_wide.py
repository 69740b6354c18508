"""Exact numbers in arrays: they equal Python's, and their form does not tell how they were made."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigunet.errors import ImageError
from bigunet.measuring.digits import check_grey_type, digits, square_digits
from bigunet.measuring.wide import LIMB_BITS, Wide, joined

NUMBERS = st.integers(-(2**150), 2**150) | st.integers(-3, 3) | st.sampled_from((2**32, -(2**31)))


def wide_of(numbers: list[int], low: int = 0) -> Wide:
    """Numbers as one part, digit by digit."""
    planes = {}
    for index in range(low, low + 6):
        shift = LIMB_BITS * (index - low)
        last = index == low + 5
        digit = [(n >> shift) if last else (n >> shift) & (2**LIMB_BITS - 1) for n in numbers]
        planes[index] = np.array(digit, np.int64)[:, None]
    return Wide.of_planes(planes, (len(numbers), 1))


def value_of(wide: Wide) -> list[int]:
    assert wide.low >= -60
    return [int(value) for value in wide.integers(-60)[:, 0]]


def same(first: Wide, second: Wide) -> bool:
    return first.low == second.low and np.array_equal(first.limbs, second.limbs)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=5), st.integers(-9, 9))
def test_sums_are_those_of_pythons_integers_and_have_one_form(
    numbers: list[tuple[int, int]], low: int
) -> None:
    first, second = ([pair[k] for pair in numbers] for k in (0, 1))
    total = wide_of(first, low) + wide_of(second, low)
    sums = [a + b for a, b in numbers]
    assert value_of(total) == [value << (LIMB_BITS * (low + 60)) for value in sums]
    assert same(total, wide_of(sums, low))
    rows = joined(wide_of(first, low), wide_of(second, low))
    assert same(rows.grouped(np.array([0])), wide_of([sum(first) + sum(second)], low))
    assert same(rows.take(slice(0, len(first))), wide_of(first, low))


@given(st.lists(NUMBERS, min_size=1, max_size=5), st.integers(0, 2**31 - 1))
def test_products_are_those_of_pythons_integers(numbers: list[int], factor: int) -> None:
    assert same(wide_of(numbers).times(factor), wide_of([factor * n for n in numbers]))


def _summed(planes: dict[int, np.ndarray], count: int) -> list[int]:
    assert all((np.abs(plane) < 2**34).all() for plane in planes.values())
    columns = {index: plane[:, None] for index, plane in planes.items()}
    return value_of(Wide.of_planes(columns, (count, 1)))


WHOLE_TYPES = ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8")


@given(st.data(), st.sampled_from(WHOLE_TYPES))
def test_digits_of_whole_numbers_are_exact(data: st.DataObject, dtype: str) -> None:
    limits = np.iinfo(dtype)
    one = st.integers(int(limits.min), int(limits.max)) | st.just(int(limits.min))
    numbers = data.draw(st.lists(one, min_size=1, max_size=6))
    values = np.array(numbers, dtype)
    unit = 1 << (LIMB_BITS * 60)
    assert _summed(digits(values), len(values)) == [n * unit for n in numbers]
    assert _summed(square_digits(values), len(values)) == [n * n * unit for n in numbers]


@given(st.data(), st.sampled_from((16, 32, 64)))
def test_digits_of_floats_are_exact_and_those_that_are_not_finite_count_as_nothing(
    data: st.DataObject, width: int
) -> None:
    numbers = data.draw(st.lists(st.floats(width=width), min_size=1, max_size=6))
    values = np.array(numbers, f"f{width // 8}")
    exponent = LIMB_BITS * 60
    exact = [_times_power(n, exponent) for n in numbers]
    assert _summed(digits(values), len(values)) == exact
    if width < 64 or not any(2.0**500 <= abs(n) < np.inf for n in numbers):
        small = [width == 64 and abs(n) < 2.0**-480 for n in numbers]
        squares = [0 if s else n * n >> exponent for s, n in zip(small, exact)]
        assert _summed(square_digits(values), len(values)) == squares


def _times_power(number: float, exponent: int) -> int:
    if not np.isfinite(number):
        return 0
    above, below = number.as_integer_ratio()
    whole, rest = divmod(above << exponent, below)
    assert rest == 0
    return whole


def test_values_too_large_to_square_are_refused() -> None:
    with pytest.raises(ImageError, match=r"1e\+300 in size, too large to square; divide"):
        square_digits(np.array([-1e300]))


@pytest.mark.parametrize("dtype", ["c8", "U3", "O"])
def test_what_is_no_grey_value_is_refused(dtype: str) -> None:
    with pytest.raises(ImageError, match="give whole numbers, float32 or float64"):
        check_grey_type(np.dtype(dtype))


@given(st.lists(NUMBERS, min_size=1, max_size=5), st.integers(-3, 3))
def test_limbs_that_no_number_needs_are_left_out(numbers: list[int], low: int) -> None:
    higher = [n << (2 * LIMB_BITS) for n in numbers]
    assert same(wide_of(higher, low - 2), wide_of(numbers, low))


@pytest.mark.parametrize("number", [5e-324, -(2.0**-1060), 2.0**-500 + 2.0**-552, 1.7e308])
def test_floats_at_the_ends_of_their_range_are_exact(number: float) -> None:
    exact = _times_power(number, LIMB_BITS * 60)
    assert _summed(digits(np.array([number])), 1) == [exact]
    if abs(number) < 2.0**-480:
        assert _summed(square_digits(np.array([number])), 1) == [0]
