"""Counted sizes have the median and the histogram of all sizes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigunet.measuring.size_counts import SizeCounts
from bigunet.segmentation.instances.object_summary import ObjectSummary

bands = st.lists(st.lists(st.integers(1, 40) | st.integers(1, 2**50), max_size=9), max_size=9)


@given(bands)
def test_sizes_in_any_bands_have_the_median_and_the_histogram_of_all(
    sizes: list[list[int]],
) -> None:
    counted, whole = SizeCounts(), np.array([size for band in sizes for size in band], np.int64)
    for band in sizes:
        counted.add(np.array(band, np.int64))
    assert counted.num_objects == len(whole)
    summary = ObjectSummary(len(whole), 0).measured(counted)
    if not len(whole):
        assert np.isnan(counted.median())
        assert (summary.median_voxels, summary.sizes) == (0, ())
        return
    assert summary.median_voxels == counted.median() == np.median(whole)
    lengths = [size.bit_length() - 1 for size in whole.tolist()]
    assert summary.sizes == tuple(np.bincount(lengths).tolist())


def test_memory_is_that_of_the_sizes_and_not_of_the_objects() -> None:
    counted = SizeCounts()
    for _ in range(50):
        counted.add(np.arange(1, 100).repeat(20))
    assert counted.num_objects == 50 * 99 * 20
    assert counted.sizes.tolist() == list(range(1, 100))
    assert counted.median() == pytest.approx(50, abs=0)
