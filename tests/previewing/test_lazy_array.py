"""Laws of the index of an array that computes what is read: it is numpy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, basic_indices
from support.whole_output import WholeOutput

from bigunet.previewing.lazy_array import LazyArray


@given(st.data(), st.sampled_from(["yx", "zyx", "czyx", "tczyx", "xyz", "tzyxc"]))
def test_an_index_gives_what_it_gives_of_the_whole_array(data: Any, order: str) -> None:
    whole = WholeOutput(order)
    array = LazyArray(whole)  # type: ignore[arg-type]
    stored = whole.levels[0].transpose(whole.output.storage_order)
    key = data.draw(basic_indices(stored.shape, allow_newaxis=False))
    assert array.shape == stored.shape
    np.testing.assert_array_equal(array[key], stored[key])
    assert array[key].dtype == stored.dtype


@given(array_shapes(max_dims=3), st.integers(-9, 9))
def test_indices_outside_are_refused(shape: tuple[int, ...], place: int) -> None:
    array = LazyArray(WholeOutput("yx"))  # type: ignore[arg-type]
    if -array.shape[0] <= place < array.shape[0]:
        assert array[place].shape == array.shape[1:]
    else:
        with pytest.raises(IndexError, match="voxels"):
            array[place]


@pytest.mark.parametrize("key", [(0, 0, 0), "y", None, [1, 2], True, 1.5, (..., ...)])
def test_other_indices_are_refused(key: Any) -> None:
    with pytest.raises(IndexError, match="index"):
        LazyArray(WholeOutput("yx"))[key]  # type: ignore[arg-type]
