"""Ids are dense and in the order of first voxels; voxels get those of their fragments."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.object_cases import Case, blocks_of, cases

from bigunet.blocks import BlockGrid
from bigunet.errors import GeometryError, LabelsError, OptionError
from bigunet.geometry import Box
from bigunet.objects.block_fragments import fragments_of_labels
from bigunet.objects.numbering import number_objects
from bigunet.objects.relabelling import box_to_read, grown_block, ids_of_labels
from bigunet.objects.stitching import stitch


@given(cases(), st.integers(0, 9), st.sampled_from([0, 7, 2**32 - 4, 2**32, 2**40]))
def test_ids_go_on_after_those_before_also_past_32_bits(
    case: Case, smallest: int, before: int
) -> None:
    grid = BlockGrid(Box.of_shape(case.classes.shape), case.block_shape)
    stitched = stitch(grid, blocks_of(case, grid), connectivity=case.connectivity)
    plain = number_objects(stitched, smallest=smallest)
    later = number_objects(stitched, smallest=smallest, before=before)
    highest = before + plain.num_objects
    assert later.ids.dtype == (np.uint32 if highest <= 2**32 - 1 else np.uint64)
    expected = [one and one + before for one in plain.ids.tolist()]
    assert later.ids.tolist() == expected
    assert later.num_objects + later.num_small == stitched.num_objects
    assert set(plain.ids.tolist()) - {0} == set(range(1, plain.num_objects + 1))


def test_ids_past_32_bits_stay_whole_in_a_block_that_grows() -> None:
    labels = np.array([1, 0, 0, 0, 2])
    box = Box((0,), (5,))
    grid = BlockGrid(box, (5,))
    stitched = stitch(grid, [fragments_of_labels(labels, box, box)])
    ids = ids_of_labels(labels, number_objects(stitched, before=2**32).of_block(0))
    assert ids.tolist() == [2**32 + 1, 0, 0, 0, 2**32 + 2]
    grown = grown_block(ids, labels == 0, read=box, write=Box((1,), (5,)), width=2)
    assert grown.dtype == np.uint64
    assert grown.tolist() == [2**32 + 1, 2**32 + 1, 2**32 + 2, 2**32 + 2]


def test_growth_reads_no_other_frame() -> None:
    volume = Box((0, 0), (3, 9))
    write = Box((1, 3), (2, 6))
    read = box_to_read(write, volume, 2, ndim=1)
    assert read == Box((1, 1), (2, 8))
    ids = np.array([[0, 4, 0, 0, 0, 0, 9]])
    grown = grown_block(ids, ids == 0, read=read, write=write, width=2, ndim=1)
    assert grown.tolist() == [[4, 4, 9]]


def test_the_least_ids_of_64_bits_are_one_past_those_of_32() -> None:
    box = Box((0,), (1,))
    stitched = stitch(BlockGrid(box, (1,)), [fragments_of_labels(np.array([1]), box, box)])
    for before, dtype in [(2**32 - 2, np.uint32), (2**32 - 1, np.uint64)]:
        ids = number_objects(stitched, before=before).of_block(0)
        assert ids.dtype == dtype
        assert ids.tolist() == [0, before + 1]


def test_ids_and_numbers_that_do_not_fit_are_refused() -> None:
    box = Box((0,), (4,))
    stitched = stitch(BlockGrid(box, (4,)), [fragments_of_labels(np.array([1, 0, 2, 2]), box, box)])
    for wrong in ({"smallest": -1}, {"before": -1}):
        with pytest.raises(OptionError, match="must be 0 or more"):
            number_objects(stitched, **wrong)
    ids = number_objects(stitched).of_block(0)
    with pytest.raises(LabelsError, match="has 1 fragments, and ids are given for 2"):
        ids_of_labels(np.array([1, 0, 0, 0]), ids)
    assert box_to_read(box, box, 3) == box
    with pytest.raises(GeometryError, match="are not those of"):
        grown_block(ids, np.zeros(9, bool), read=box, write=box, width=1)
