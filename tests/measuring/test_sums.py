"""Sums of objects: those of the whole, to the last bit, for any blocks in any order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.labelled import GREY_TYPES, bits_of, block_sums, grey_for, labelled, parts_of

from bigunet.errors import BigUNetError, LabelsError
from bigunet.measuring.merging import merged, merged_all
from bigunet.measuring.runs import pairs


@given(labelled(), st.sampled_from(GREY_TYPES), st.integers(0, 2), st.data())
def test_any_blocks_in_any_order_give_the_sums_of_the_whole(
    labels: np.ndarray, dtype: str, channels: int, data: st.DataObject
) -> None:
    grey = grey_for(labels, dtype, channels, seed=labels.size)
    whole = block_sums(labels, grey, (0,) * labels.ndim)
    shape = tuple(data.draw(st.integers(max(1, n // 3), n)) for n in labels.shape)
    parts = data.draw(st.permutations(list(parts_of(labels, grey, shape))))
    assert bits_of(merged_all(parts)) == bits_of(whole)
    one_by_one = parts[0]
    for part in parts[1:]:
        one_by_one = merged(part, one_by_one)
    assert bits_of(one_by_one) == bits_of(whole)


@given(labelled(), st.sampled_from((0, 2**20, 2**31 - 20)))
def test_sums_are_those_that_python_counts_voxel_by_voxel(labels: np.ndarray, far: int) -> None:
    start = tuple(far + axis for axis in range(labels.ndim))
    grey = grey_for(labels, "u2", 1, seed=3)
    sums = block_sums(labels, grey, start)
    assert sums.ids.tolist() == sorted(set(labels[labels != 0].tolist()))
    for row, label in enumerate(sums.ids.tolist()):
        voxels = [
            [int(v) + s for v, s in zip(voxel, start)] for voxel in np.argwhere(labels == label)
        ]
        values = [int(v) for v in grey[0][labels == label]]
        assert sums.voxels[row] == len(voxels)
        columns = list(zip(*voxels))
        assert sums.start[row].tolist() == [min(c) for c in columns]
        assert sums.stop[row].tolist() == [max(c) + 1 for c in columns]
        assert sums.first_moments.integers(0)[row].tolist() == [sum(c) for c in columns]
        products = [sum(v[i] * v[j] for v in voxels) for i, j in pairs(labels.ndim)]
        assert sums.second_moments.integers(0)[row].tolist() == products
        assert (sums.channels[0].least[row], sums.channels[0].greatest[row]) == (
            min(values),
            max(values),
        )
        assert sums.channels[0].total.integers(0)[row, 0] == sum(values)
        assert sums.channels[0].squares.integers(0)[row, 0] == sum(v * v for v in values)


def test_zeros_of_both_signs_and_nan_leave_no_trace_of_the_order() -> None:
    labels = np.ones((1, 3), int)
    grey = np.array([[[-0.0, 0.0, np.nan]]], np.float32)
    parts = list(parts_of(labels, grey, (1, 1)))
    first = bits_of(merged_all(parts[:2]))
    assert first == bits_of(merged_all(parts[1::-1]))
    assert bits_of(merged_all(parts)) == bits_of(block_sums(labels, grey, (0, 0)))


def test_ids_up_to_the_last_of_uint64_are_kept() -> None:
    labels = np.array([[2**64 - 1, 2**63, 0, 1]], np.uint64)
    sums = merged_all(parts_of(labels, None, (1, 2)))
    assert sums.ids.tolist() == [1, 2**63, 2**64 - 1]


def test_objects_at_the_border_touch_it_but_not_along_an_axis_of_one_voxel() -> None:
    labels = np.zeros((1, 4, 4), int)
    labels[0, 1:3, 1:3] = 1
    labels[0, 3, 1] = 2
    sums = block_sums(labels, None, (0, 0, 0))
    assert sums.touches_border(labels.shape).tolist() == [False, True]


NOTHING = np.zeros((2, 2), int)


@pytest.mark.parametrize(
    ("ids", "grey", "start", "reason"),
    [
        (NOTHING > 0, None, (0, 0), "labels are bool; give whole numbers"),
        (NOTHING[0], None, (0,), "labels have 1 axes, 1 of them of space; give 2 or 3"),
        (NOTHING, NOTHING, (0, 0), "the image is .2,., the labels .2, 2.; give equal shapes"),
        (NOTHING, None, (0, 2**31), "is longer than the longest axis"),
        (np.broadcast_to(np.uint8(0), (2**14, 2**14)), None, (0, 0), "is too large; cut it"),
    ],
)
def test_what_does_not_fit_is_refused(
    ids: np.ndarray, grey: np.ndarray | None, start: tuple[int, ...], reason: str
) -> None:
    with pytest.raises(BigUNetError, match=reason):
        block_sums(ids, grey, start)


def test_parts_of_different_images_are_not_merged() -> None:
    signed, unsigned = (block_sums(NOTHING.astype(t), None, (0, 0)) for t in ("i8", "u8"))
    with pytest.raises(LabelsError, match="int64 ids, 2 axes, channels: none; uint64 ids"):
        merged(signed, unsigned)
