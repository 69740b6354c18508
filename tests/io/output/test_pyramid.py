"""Laws of downsampling: the result equals a loop over voxels, and does not depend on blocks."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bigunet.errors import GeometryError
from bigunet.io.output.pyramid import downsample_mean, downsample_mode, level_scale

LABEL_DTYPES = [np.uint8, np.int16, np.uint32, np.uint64]
INTEGER_DTYPES = [np.uint8, np.int8, np.uint16, np.int64, np.uint64]


@st.composite
def label_arrays(draw: st.DrawFn) -> np.ndarray:
    """Arrays of few labels, so that cells have ties as well as majorities."""
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=4, max_side=4))
    dtype = draw(st.sampled_from(LABEL_DTYPES))
    return draw(hnp.arrays(dtype, shape, elements=st.integers(0, 3), fill=st.nothing()))


@st.composite
def integer_arrays(draw: st.DrawFn) -> np.ndarray:
    dtype = draw(st.sampled_from(INTEGER_DTYPES))
    return draw(hnp.arrays(dtype, hnp.array_shapes(min_dims=1, max_dims=4, max_side=5)))


def factors(ndim: int) -> st.SearchStrategy[tuple[int, ...]]:
    return st.tuples(*[st.sampled_from([1, 2])] * ndim)


def cells(
    array: np.ndarray, factor: tuple[int, ...]
) -> Iterator[tuple[tuple[int, ...], list[int]]]:
    shape = [-(-n // f) for n, f in zip(array.shape, factor)]
    for index in itertools.product(*map(range, shape)):
        cell = array[tuple(slice(i * f, i * f + f) for i, f in zip(index, factor))]
        yield index, [int(value) for value in cell.ravel()]


def starts(shape: tuple[int, ...], block: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    return itertools.product(*(range(0, n, b) for n, b in zip(shape, block)))


@given(label_arrays(), st.data())
def test_mode_is_the_most_frequent_label_and_the_first_one_in_a_tie(
    labels: np.ndarray, data: st.DataObject
) -> None:
    factor = data.draw(factors(labels.ndim))
    result = downsample_mode(labels, factor)
    assert result.dtype == labels.dtype
    for index, cell in cells(labels, factor):
        assert result[index] == Counter(cell).most_common(1)[0][0]


@pytest.mark.parametrize(
    ("cell", "mode"),
    [
        ([3, 1, 1, 3], 3),
        ([4, 3, 2, 1], 4),
        ([1, 2, 2, 3, 3, 3, 2, 0], 2),
        ([7, 6, 5, 4, 3, 2, 1, 0], 7),
        ([0, 1, 2, 3, 4, 5, 6, 6], 6),
    ],
)
def test_in_a_tie_the_mode_is_the_label_that_comes_first(cell: list[int], mode: int) -> None:
    factor = (2, 2) if len(cell) == 4 else (2, 2, 2)
    assert downsample_mode(np.array(cell).reshape(factor), factor).item() == mode


@given(integer_arrays(), st.data())
def test_mean_of_integers_rounds_half_up_and_never_overflows(
    values: np.ndarray, data: st.DataObject
) -> None:
    factor = data.draw(factors(values.ndim))
    result = downsample_mean(values, factor)
    assert result.dtype == values.dtype
    for index, cell in cells(values, factor):
        assert result[index] == floor(Fraction(sum(cell), len(cell)) + Fraction(1, 2))


def test_mean_of_floats_counts_only_voxels_that_exist() -> None:
    values = np.array([[0.5, 1.5, 4.0], [1.0, 1.0, 5.0]], np.float32)
    result = downsample_mean(values, (2, 2))
    np.testing.assert_array_equal(result, np.array([[1.0, 4.5]], np.float32), strict=True)


@given(label_arrays(), st.data())
def test_blocks_at_even_voxels_give_the_result_of_the_whole_array(
    labels: np.ndarray, data: st.DataObject
) -> None:
    factor = data.draw(factors(labels.ndim))
    block = data.draw(st.tuples(*[st.sampled_from([2, 4])] * labels.ndim))
    for downsample in (downsample_mode, downsample_mean):
        whole = downsample(labels, factor)
        for start in starts(labels.shape, block):
            part = labels[tuple(slice(a, a + b) for a, b in zip(start, block))]
            there = tuple(
                slice(a // f, a // f + -(-n // f)) for a, f, n in zip(start, factor, part.shape)
            )
            np.testing.assert_array_equal(downsample(part, factor), whole[there], strict=True)


@pytest.mark.parametrize(
    "factor",
    [
        (2,),  # one axis is missing
        (3, 1),  # pyramids only halve
        (2, 0),
    ],
)
def test_a_factor_that_does_not_fit_is_refused(factor: tuple[int, ...]) -> None:
    with pytest.raises(GeometryError, match="give 1 or 2 for each axis"):
        downsample_mode(np.zeros((4, 4), np.uint8), factor)


@given(st.integers(0, 5), st.sampled_from([0.25, 0.5, 3.0]), st.sampled_from([-1.5, 0.0, 7.0]))
def test_scale_and_translation_compose_level_by_level(
    num_levels: int, scale: float, translation: float
) -> None:
    stepwise = (scale,), (translation,)
    for _ in range(num_levels):
        stepwise = level_scale(*stepwise, (2,))
    assert stepwise == level_scale((scale,), (translation,), (2**num_levels,))
