"""Laws of what is shown: parts lie within the output, and marks where blocks meet."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from bigunet.blocks import BlockGrid
from bigunet.geometry import Box
from bigunet.segmentation.page.views import (
    ZOOM,
    corner_places,
    densest,
    drawn_shape,
    shown_planes,
    side_view,
    zoom_at,
)


@st.composite
def grids(draw: st.DrawFn, ndim: int = 2) -> BlockGrid:
    shape = [draw(st.integers(1, 900)) for _ in range(ndim)]
    block = [draw(st.integers(1, 500)) for _ in range(ndim)]
    return BlockGrid(Box.of_shape(shape), tuple(block))


def begins(grid: BlockGrid, axis: int, start: int, stop: int) -> list[int]:
    """Rows of a part before which a block begins, one after the other."""
    step = grid.block_shape[axis]
    return [at - start for at in range(start + 1, stop) if at % step == 0]


@given(grids(), st.data())
def test_a_part_lies_within_the_output_and_marks_each_begin_of_a_block(
    grid: BlockGrid, data: st.DataObject
) -> None:
    centre = [data.draw(st.integers(0, n - 1)) for n in grid.region.shape]
    zoom = zoom_at(grid, (), centre, "here")
    assert grid.region.contains(zoom.box)
    assert zoom.box.shape == tuple(min(ZOOM, n) for n in grid.region.shape)
    ends = list(zip(zoom.box.start, zoom.box.stop))
    assert all(a <= c < b for c, (a, b) in zip(centre, ends))
    assert list(zoom.rows) == begins(grid, 0, *ends[0])
    assert list(zoom.columns) == begins(grid, 1, *ends[1])


def test_a_block_that_begins_with_the_part_has_no_mark() -> None:
    grid = BlockGrid(Box.of_shape((900, 900)), (100, 90))
    zoom = zoom_at(grid, (), (100 + ZOOM // 2, 180 + ZOOM // 2), "here")
    assert zoom.box.start == (100, 180)
    assert (zoom.rows, zoom.columns) == ((100, 200), (90, 180))


@given(grids())
def test_blocks_meet_at_each_corner_that_is_shown(grid: BlockGrid) -> None:
    places = corner_places(grid)
    assert bool(places) == (grid.num_blocks > 1)
    assert len(set(places)) == len(places) <= 16
    for place in places:
        meets = [at % n == 0 and at > 0 for at, n in zip(place, grid.block_shape)]
        several = [n > 1 for n in grid.shape]
        assert all(meets[axis] for axis in range(2) if several[axis])
        zoom = zoom_at(grid, (), place, "")
        assert zoom.rows or zoom.columns


@given(grids(3), st.data())
def test_a_view_from_the_side_shows_where_blocks_meet_along_z(
    grid: BlockGrid, data: st.DataObject
) -> None:
    z, y, x = (data.draw(st.integers(0, n - 1)) for n in grid.region.shape)
    zoom = side_view(grid, (z,), (y, x))
    assert (zoom is None) == (grid.shape[0] == 1)
    if zoom is not None:
        assert grid.region.contains(zoom.box)
        assert drawn_shape(zoom.box) == (zoom.box.shape[0], zoom.box.shape[2])
        (top, row, left), (bottom, _, right) = zoom.box.start, zoom.box.stop
        assert row == y
        assert list(zoom.rows) == begins(grid, 0, top, bottom) != []
        assert list(zoom.columns) == begins(grid, 2, left, right)


@given(
    arrays.arrays(bool, st.tuples(*[st.integers(1, 12)] * 2)),
    st.tuples(*[st.integers(1, 14)] * 2),
)
def test_the_densest_place_has_more_than_any_other_window(
    foreground: np.ndarray, window: tuple[int, int]
) -> None:
    height, width = (min(n, m) for n, m in zip(window, foreground.shape))
    y, x = densest(foreground, window)
    top, left = y - height // 2, x - width // 2
    counts = [
        foreground[a : a + height, b : b + width].sum()
        for a in range(foreground.shape[0] - height + 1)
        for b in range(foreground.shape[1] - width + 1)
    ]
    assert foreground[top : top + height, left : left + width].sum() == max(counts)
    assert min(top, left) >= 0


@given(st.lists(st.integers(1, 10_000), max_size=2))
def test_few_planes_of_many_are_looked_at(leading: list[int]) -> None:
    planes = shown_planes((*leading, 5, 5))
    assert planes[0] == tuple(n // 2 for n in leading)
    assert len(set(planes)) == len(planes) <= 13
    assert all(0 <= k < n for plane in planes for k, n in zip(plane, leading))
