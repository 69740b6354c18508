"""Laws of the grid of blocks and of the order in which they are worked on."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bigunet.blocks import BlockGrid
from bigunet.errors import GeometryError
from bigunet.geometry import Box, Point

LAW = settings(deadline=None)


@st.composite
def grids(draw: st.DrawFn) -> BlockGrid:
    """Regions anywhere, up to very long and thin ones, in blocks of any shape."""
    ndim = draw(st.integers(1, 4))
    start = tuple(draw(st.integers(-50, 50)) for _ in range(ndim))
    sides = [draw(st.integers(0, 6)) for _ in range(ndim)]
    long = draw(st.integers(0, ndim - 1))
    sides[long] = draw(st.integers(0, 60))
    stop = tuple(a + n for a, n in zip(start, sides))
    return BlockGrid(Box(start, stop), tuple(draw(st.integers(1, 9)) for _ in range(ndim)))


@LAW
@given(grids(), st.integers(1, 12))
def test_blocks_are_counted_by_phase_and_length_as_if_one_went_through_them(
    grid: BlockGrid, stride: int
) -> None:
    for axis, count in enumerate(grid.shape):
        index = [0] * grid.region.ndim
        expected: Counter[tuple[int, int]] = Counter()
        for index[axis] in range(count):
            box = grid.box(tuple(index))
            expected[box.start[axis] % stride, box.stop[axis] - box.start[axis]] += 1
        assert grid.phases(axis, stride) == expected


def test_blocks_without_number_are_counted_at_once() -> None:
    grid = BlockGrid(Box((0,), (10**12 + 5,)), (6,))
    assert sum(grid.phases(0, 4).values()) == grid.num_blocks


@LAW
@given(grids())
def test_blocks_cover_each_voxel_of_the_region_once(grid: BlockGrid) -> None:
    hits = np.zeros(grid.region.shape, int)
    for index in grid.traversal():
        box = grid.box(index)
        assert box.size > 0
        hits[box.within(grid.region)] += 1
    assert (hits == 1).all()


@LAW
@given(grids())
def test_all_but_the_last_block_of_an_axis_are_whole(grid: BlockGrid) -> None:
    for index in grid.traversal():
        for axis, place in enumerate(index):
            side = grid.box(index).shape[axis]
            assert side == grid.block_shape[axis] or place == grid.shape[axis] - 1


@LAW
@given(grids())
def test_the_traversal_gives_every_index_once(grid: BlockGrid) -> None:
    order = list(grid.traversal())
    assert len(order) == len(set(order)) == grid.num_blocks == math.prod(grid.shape)
    assert set(order) == set(np.ndindex(*grid.shape))


@LAW
@given(grids())
def test_numbers_are_places_in_c_order(grid: BlockGrid) -> None:
    numbers = [grid.number(index) for index in np.ndindex(*grid.shape)]
    assert numbers == list(range(grid.num_blocks))


def test_the_traversal_of_a_billion_blocks_begins_at_once() -> None:
    grid = BlockGrid(Box.of_shape((10**9, 10**9, 10**9)), (10**6,) * 3)
    assert grid.num_blocks == 10**9
    assert len(set(itertools.islice(grid.traversal(), 5))) == 5


@pytest.mark.parametrize("power", [1, 2, 3, 4])
def test_each_run_of_a_fourth_power_of_blocks_is_a_square(power: int) -> None:
    order = np.array(list(BlockGrid(Box.of_shape((64, 64)), (1, 1)).traversal()))
    runs = order.reshape(-1, 4**power, 2)
    assert (np.ptp(runs, axis=1) == 2**power - 1).all()


def remembered_neighbours(order: list[Point], memory: int) -> int:
    """Pairs of touching blocks of which the later comes at most ``memory`` steps after."""
    when = {index: step for step, index in enumerate(order)}
    pairs = ((i, (*i[:a], i[a] + 1, *i[a + 1 :])) for i in order for a in range(len(i)))
    return sum(abs(when[i] - when[j]) <= memory for i, j in pairs if j in when)


@pytest.mark.parametrize("shape", [(64, 64), (32, 32, 32), (40, 56)])
def test_a_small_cache_holds_a_third_more_neighbours_than_in_c_order(shape: Point) -> None:
    grid = BlockGrid(Box.of_shape(shape), (1,) * len(shape))
    ours = remembered_neighbours(list(grid.traversal()), 16)
    assert ours > 4 / 3 * remembered_neighbours(list(np.ndindex(*shape)), 16)


@pytest.mark.parametrize(
    ("block_shape", "message"),
    [
        ((4, 4), "blocks of 2 axes for a volume of 1"),
        ((0,), r"block shape \(0,\) has an empty axis"),
        ((-3,), r"block shape \(-3,\) has an empty axis"),
    ],
)
def test_impossible_block_shapes_are_refused(block_shape: Point, message: str) -> None:
    with pytest.raises(GeometryError, match=message):
        BlockGrid(Box((0,), (9,)), block_shape)
