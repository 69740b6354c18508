"""Bands of merged sums: together they are the sums of the whole, for any blocks and any memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.labelled import bits_of, block_sums, grey_for, labelled, parts_of

from bigunet.blocks import BlockGrid
from bigunet.errors import LabelsError
from bigunet.geometry import Box
from bigunet.measuring import merging
from bigunet.measuring.block_sums import sums_of_block
from bigunet.measuring.merging import merged_all, merged_bands
from bigunet.measuring.sums import ObjectSums


@given(labelled(), st.integers(1, 9), st.integers(1, 4), st.integers(2, 3), st.data())
def test_bands_together_are_the_sums_of_the_whole_and_ascend(
    labels: np.ndarray, run_rows: int, band_rows: int, most_runs: int, data: st.DataObject
) -> None:
    grey = grey_for(labels, "f4", 1, seed=labels.size)
    shape = tuple(data.draw(st.integers(max(1, n // 3), n)) for n in labels.shape)
    parts = data.draw(st.permutations(list(parts_of(labels, grey, shape))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merging, "_BAND_ROWS", band_rows)
        patch.setattr(merging, "_MOST_RUNS", most_runs)
        bands = list(merged_bands(parts, run_rows=run_rows))
    ids = [i for band in bands for i in band.ids.tolist()]
    assert ids == sorted(set(ids))
    assert bits_of(merged_all(bands)) == bits_of(block_sums(labels, grey, (0,) * labels.ndim))


@given(st.integers(0, 999), st.data())
def test_frames_are_those_of_single_images(seed: int, data: st.DataObject) -> None:
    shape = (2, 3, 6, 7)
    labels = np.random.default_rng(seed).integers(0, 4, shape)
    block_shape = tuple(data.draw(st.integers(1, n)) for n in shape)
    whole = merged_all(merged_bands(_blocks(labels, block_shape), run_rows=5))
    for frame, place in enumerate(np.ndindex(2, 3)):
        rows = np.flatnonzero(whole.frames == frame)
        own = whole.rows(slice(rows[0], rows[-1] + 1))
        single = block_sums(labels[place], grey_for(labels[place], "u1", 0, 0), (0, 0))
        assert bits_of(own)[:1] == bits_of(single)[:1]
        assert bits_of(own)[2:] == bits_of(single)[2:]
    assert (np.diff(whole.frames) >= 0).all()


def _blocks(labels: np.ndarray, block_shape: tuple[int, ...]) -> Iterator[ObjectSums]:
    grid = BlockGrid(Box.of_shape(labels.shape), block_shape)
    for index in np.ndindex(*grid.shape):
        box = grid.box(index)
        yield sums_of_block(labels[box.within(grid.region)], box, grid.region, {}, ndim=2)


def test_files_of_runs_have_no_names(tmp_path: Path) -> None:
    parts = parts_of(np.arange(1, 401).reshape(20, 20), None, (5, 5))
    bands = merged_bands(parts, scratch=tmp_path, run_rows=50)
    first = next(bands)
    assert len(first)
    assert not list(tmp_path.iterdir())
    assert len(merged_all([first, *bands])) == 400


def test_runs_of_different_images_are_not_merged() -> None:
    ones = np.ones((2, 2), int)
    parts = [block_sums(ones.astype(kind), None, (0, 0)) for kind in ("i8", "u8")]
    with pytest.raises(LabelsError, match="cannot be merged"):
        list(merged_bands(parts, run_rows=1))
