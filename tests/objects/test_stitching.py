"""Fragments that touch are one object, and no others."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from support.object_cases import Case, blocks_of, cases, components_of

from bigunet.blocks import BlockGrid
from bigunet.errors import GeometryError, OptionError
from bigunet.geometry import Box
from bigunet.objects.stitching import stitch


@given(cases())
def test_an_object_has_the_size_and_the_first_voxel_of_the_whole(case: Case) -> None:
    grid = BlockGrid(Box.of_shape(case.classes.shape), case.block_shape)
    stitched = stitch(grid, blocks_of(case, grid), connectivity=case.connectivity)
    whole, count = components_of(case)
    expected = [(np.flatnonzero(whole == n)[0], np.sum(whole == n)) for n in range(1, count + 1)]
    columns = [column.read(0, len(column)) for column in (stitched.first_voxels, stitched.sizes)]
    assert sorted(zip(*columns, strict=True)) == sorted(expected)
    assert stitched.num_objects == count
    assert len(stitched.offsets) == grid.num_blocks + 1
    assert stitched.offsets[-1] == stitched.num_fragments


def test_blocks_of_another_grid_are_refused() -> None:
    grid = BlockGrid(Box((0, 0), (4, 6)), (2, 4))
    blocks = list(blocks_of(Case(np.ones((4, 6), int), (2, 4)), grid))
    for wrong in (blocks[:-1], [*blocks, blocks[-1]], []):
        with pytest.raises(GeometryError, match="for a grid of 4; give those of each block once"):
            stitch(grid, wrong)
    with pytest.raises(GeometryError, match="give the blocks of one grid, in C order"):
        stitch(grid, blocks[::-1])
    line = BlockGrid(Box((0,), (4,)), (4,))
    with pytest.raises(GeometryError, match="give the blocks of one grid, in C order"):
        stitch(line, blocks[:1])
    rows = list(blocks_of(Case(np.ones((4, 6), int), (2, 4), ndim=1), grid))
    with pytest.raises(GeometryError, match="give the blocks of one grid, in C order"):
        stitch(grid, blocks[:1] + rows[1:])
    with pytest.raises(OptionError, match="connectivity 2 for objects of 1 axes; give 1 to 1"):
        stitch(grid, rows, connectivity=2)
