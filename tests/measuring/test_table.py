"""Columns that scikit-image does not have: class, frame, confidence, cut, and micrometres."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.labelled import block_sums

from bigunet.errors import OptionError
from bigunet.geometry import Box
from bigunet.measuring import table
from bigunet.measuring.block_sums import sums_of_block
from bigunet.measuring.described import Described
from bigunet.measuring.merging import merged_all
from bigunet.measuring.table import table_bands, table_of


def test_a_table_names_its_class_its_frames_and_its_channels() -> None:
    labels = np.zeros((2, 3, 4, 5), int)
    labels[0, 0, 1, 1], labels[1, 2, 3, 3:] = 4, 9
    box = Box.of_shape(labels.shape)
    probability = np.full(labels.shape, 51, np.uint8)
    channels = {"DAPI": labels, "GFP": -labels}
    sums = sums_of_block(labels, box, box, channels, probability=probability, ndim=2)
    described = Described((4, 5), (0.5, 0.25), {"t": 2, "z": 3}, "nucleus")
    columns = table_of(sums, described)
    assert list(columns)[:5] == ["label", "class", "t", "z", "area"]
    assert columns["class"].tolist() == ["nucleus", "nucleus"]
    assert (columns["t"].tolist(), columns["z"].tolist()) == ([0, 1], [0, 2])
    assert columns["confidence"].tolist() == [0.2, 0.2]
    assert columns["cut"].tolist() == [False, True]
    assert columns["intensity_mean-GFP"].tolist() == [-4, -9]
    assert [columns[f"bbox_um-{k}"][1] for k in range(4)] == [1.5, 0.75, 2, 1.25]


def test_probabilities_that_are_floats_are_their_mean() -> None:
    ones, box = np.ones((1, 2), int), Box((0, 0), (1, 2))
    sums = sums_of_block(ones, box, box, {}, probability=np.array([[0.25, 0.5]]))
    assert table_of(sums, Described((1, 2)))["confidence"].tolist() == [0.375]


def test_an_id_in_two_frames_has_two_rows() -> None:
    labels = np.full((3, 2, 2), 8)
    box = Box.of_shape(labels.shape)
    columns = table_of(
        sums_of_block(labels, box, box, {}, ndim=2), Described((2, 2), None, {"t": 3})
    )
    assert columns["label"].tolist() == [8, 8, 8]
    assert columns["t"].tolist() == [0, 1, 2]


@given(st.integers(0, 30), st.integers(1, 7), st.integers(1, 9))
def test_bands_of_a_table_are_full_and_do_not_depend_on_those_of_the_sums(
    num_objects: int, band_rows: int, sum_rows: int
) -> None:
    labels = np.arange(num_objects + 1)[None] * 3
    sums = block_sums(labels, labels[None], (0, 0))
    described = Described(labels.shape, (1, 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table, "_ROWS", band_rows)
        parts = [sums.rows(slice(i, i + sum_rows)) for i in range(0, max(1, len(sums)), sum_rows)]
        bands = list(table_bands(parts, described))
    lengths = [len(band["label"]) for band in bands]
    assert all(length == band_rows for length in lengths[:-1])
    assert lengths[-1] > 0 or num_objects == 0
    for name, column in table_of(merged_all(parts), described).items():
        joined = np.concatenate([band[name] for band in bands])
        assert (joined.dtype, joined.tobytes()) == (column.dtype, column.tobytes())


@pytest.mark.parametrize("size", [(1,), (1, 2, 3)])
def test_a_voxel_with_too_few_or_too_many_sizes_is_refused(size: tuple[float, ...]) -> None:
    sums = block_sums(np.ones((2, 2), int), None, (0, 0))
    with pytest.raises(OptionError, match=f"a voxel has {len(size)} sizes, the labels 2 axes"):
        table_of(sums, Described((2, 2), size))
