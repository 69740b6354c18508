"""Laws of the index of an array that computes what is read: it is numpy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, basic_indices

from bigunet.geometry import Box
from bigunet.io.images.multiscale import Axis
from bigunet.io.output.layout import plan_pyramid
from bigunet.io.output.output_image import OutputImage
from bigunet.previewing.lazy_array import LazyArray


class WholeOutput:
    """An output that is in memory, and stands for one that is computed."""

    def __init__(self, order: str) -> None:
        self.output = _output(order)
        layout = self.output.layout
        shape = (3, *layout.shape) if self.output.has_channels else layout.shape
        self.voxels = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)

    def compute(self, level: int, box: Box) -> np.ndarray:
        assert level == 0
        whole = Box.of_shape(self.output.layout.shape)
        return self.voxels[(slice(None),) * self.output.has_channels + box.within(whole)]


def _output(order: str) -> OutputImage:
    kinds = {"c": "channel", "t": "time"}
    ndim = len(order.replace("c", ""))
    shape = (2, 5, 4, 6)[-ndim:]
    return OutputImage(
        store="out.zarr",
        group="probabilities",
        kind="image",
        dtype="uint16",
        axes=tuple(Axis(letter, kinds.get(letter, "space")) for letter in order),
        layout=plan_pyramid(
            shape, shape, downsampled=(False,) * ndim, chunk_limit=shape, smallest=512
        ),
        num_channels=3 if "c" in order else 1,
        scale=(1.0,) * ndim,
        translation=(0.0,) * ndim,
        version="0.5",
    )


@given(st.data(), st.sampled_from(["yx", "zyx", "czyx", "tczyx", "xyz", "tzyxc"]))
def test_an_index_gives_what_it_gives_of_the_whole_array(data: Any, order: str) -> None:
    whole = WholeOutput(order)
    array = LazyArray(whole)  # type: ignore[arg-type]
    stored = whole.voxels.transpose(whole.output.storage_order)
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
