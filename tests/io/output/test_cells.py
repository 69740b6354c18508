"""Laws of cells in slabs: the size of a slab and the form of the memory change no result."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bigunet.io.output import cells
from bigunet.io.output.cell_mean import mean
from bigunet.io.output.majority import majority


@st.composite
def whole_cells(draw: st.DrawFn) -> tuple[np.ndarray, tuple[int, ...]]:
    """Labels with ties and majorities, and the shape of a cell; the array may be transposed."""
    cell = draw(st.lists(st.sampled_from([2, 2, 1]), min_size=1, max_size=4))
    shape = [draw(st.integers(1, 4)) * c for c in cell]
    dtype = draw(st.sampled_from([np.uint8, np.uint8, np.int16, np.uint32, np.int64]))
    most = draw(st.sampled_from([1, 1, 2, 5]))
    random = np.random.default_rng(draw(st.integers(0, 1000)))
    labels = random.integers(0, most + 1, shape).astype(dtype)
    order = draw(st.permutations(range(len(cell))))
    return labels.transpose(order), tuple(cell[axis] for axis in order)


def one_by_one(labels: np.ndarray, cell: tuple[int, ...]) -> np.ndarray:
    """The voxels of each cell along the last axis, in C order."""
    split = [k for n, c in zip(labels.shape, cell) for k in (n // c, c)]
    ndim = labels.ndim
    order = [*range(0, 2 * ndim, 2), *range(1, 2 * ndim, 2)]
    parts = labels.reshape(split).transpose(order)
    return parts.reshape(*parts.shape[:ndim], -1)


@settings(max_examples=300)
@given(whole_cells(), st.sampled_from([1, 4, 9, 1 << 17]))
def test_the_majority_is_counted_and_the_first_label_wins_a_tie(drawn, slab: int) -> None:
    labels, cell = drawn
    voxels = one_by_one(labels, cell)
    counts = (voxels[..., np.newaxis] == voxels[..., np.newaxis, :]).sum(-1)
    first = counts.argmax(-1)[..., np.newaxis]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cells, "_SLAB_VOXELS", slab)
        result = majority(labels, cell)
    np.testing.assert_array_equal(result, np.take_along_axis(voxels, first, -1)[..., 0])
    assert result.dtype == labels.dtype


@given(whole_cells(), st.sampled_from([1, 4, 9, 1 << 17]))
def test_the_mean_rounds_halves_up_whatever_the_slab(drawn, slab: int) -> None:
    labels, cell = drawn
    labels = labels * np.asarray(51, labels.dtype)
    voxels = one_by_one(labels, cell).astype(np.int64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cells, "_SLAB_VOXELS", slab)
        result = mean(labels, cell)
    size = voxels.shape[-1]
    np.testing.assert_array_equal(result, (2 * voxels.sum(-1) + size) // (2 * size))
