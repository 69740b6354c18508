"""Laws of the overlap-tile plan."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bigunet.errors import GeometryError
from bigunet.geometry import Box, hull
from bigunet.receptive import ReceptiveField
from bigunet.tiling import Tile, Tiling

LAW = settings(deadline=None)
AXIS = st.tuples(
    st.sampled_from((1, 2, 3, 4, 8)), st.integers(0, 7), st.integers(0, 9), st.integers(0, 7)
)


@st.composite
def fields(draw: st.DrawFn, *, ndim: int) -> ReceptiveField:
    """Fields of valid and zero-padded networks, with remainders that fit their borders or not."""
    stride, border, extra, rest = zip(*(draw(AXIS) for _ in range(ndim)))
    halo = tuple(b + e for b, e in zip(border, extra))
    return ReceptiveField(stride, border, halo, tuple(r % s for r, s in zip(rest, stride)))


@st.composite
def tilings(draw: st.DrawFn) -> tuple[Tiling, Box]:
    ndim = draw(st.integers(1, 3))
    field = draw(fields(ndim=ndim))
    tile_shape = tuple(draw(st.integers(1, 20)) for _ in range(ndim))
    start = tuple(draw(st.integers(-30, 30)) for _ in range(ndim))
    sides = (draw(st.integers(1, 40 if ndim < 3 else 15)) for _ in range(ndim))
    return Tiling(field, tile_shape), Box(start, tuple(a + n for a, n in zip(start, sides)))


@LAW
@given(tilings())
def test_tile_outputs_cover_each_voxel_once(case: tuple[Tiling, Box]) -> None:
    tiling, box = case
    hits = np.zeros(box.shape, int)
    for tile in tiling.tiles(box):
        hits[tile.output.within(box)] += 1
    assert (hits == 1).all()


@LAW
@given(tilings())
def test_every_tile_starts_at_a_multiple_of_the_stride_from_voxel_0(
    case: tuple[Tiling, Box],
) -> None:
    tiling, box = case
    for tile in tiling.tiles(box):
        start = tile.input.shift(tiling.field.halo).start
        assert all(a % s == 0 for a, s in zip(start, tiling.field.stride))


@LAW
@given(tilings())
def test_the_network_takes_every_tile_and_its_halo_is_inside(case: tuple[Tiling, Box]) -> None:
    tiling, box = case
    field = tiling.field
    for tile in tiling.tiles(box):
        assert tile.output.size > 0
        assert tile.input.contains(tile.output.grow(field.halo))
        assert tile.scores.shape == field.scores_shape(tile.input.shape)
        assert tile.scores.grow(field.border) == tile.input
        assert all(n % s == r for n, s, r in zip(tile.input.shape, field.stride, field.remainder))


@LAW
@given(tilings())
def test_no_tile_keeps_more_than_asked_but_for_one_stride(case: tuple[Tiling, Box]) -> None:
    tiling, box = case
    most = [max(s, n - n % s) for s, n in zip(tiling.field.stride, tiling.tile_shape)]
    for tile in tiling.tiles(box):
        assert all(n <= m for n, m in zip(tile.output.shape, most))


@LAW
@given(tilings())
def test_the_read_box_is_the_hull_of_what_tiles_read(case: tuple[Tiling, Box]) -> None:
    tiling, box = case
    tiles = list(tiling.tiles(box))
    assert tiling.read_box(box) == hull(tile.input for tile in tiles)
    assert len({tile.input.shape for tile in tiles}) == 1
    assert tiling.num_tiles(box) == len(tiles)


@LAW
@given(tilings())
def test_tiles_are_as_few_as_their_shape_allows(case: tuple[Tiling, Box]) -> None:
    tiling, box = case
    fewest = 1
    for axis, stride in enumerate(tiling.field.stride):
        most = max(stride, tiling.tile_shape[axis] - tiling.tile_shape[axis] % stride)
        cells = range(box.start[axis] - box.start[axis] % stride, box.stop[axis])
        fewest *= -(-len(cells) // most)
    assert tiling.num_tiles(box) <= fewest


@LAW
@given(tilings(), st.integers(-3, 3))
def test_a_box_moved_by_whole_strides_moves_its_tiles(case: tuple[Tiling, Box], steps: int) -> None:
    tiling, box = case
    by = tuple(steps * s for s in tiling.field.stride)
    for here, there in itertools.zip_longest(tiling.tiles(box), tiling.tiles(box.shift(by))):
        assert here.input.shift(by) == there.input
        assert here.output.shift(by) == there.output


@LAW
@given(tilings(), st.data())
def test_an_empty_box_has_no_tiles(case: tuple[Tiling, Box], data: st.DataObject) -> None:
    tiling, box = case
    axis = data.draw(st.integers(0, box.ndim - 1))
    stop = tuple(a if i == axis else b for i, (a, b) in enumerate(zip(box.start, box.stop)))
    empty = Box(box.start, stop)
    assert list(tiling.tiles(empty)) == []
    assert tiling.num_tiles(empty) == 0
    with pytest.raises(GeometryError, match="has no voxels to tile"):
        tiling.read_box(empty)


def test_tiles_of_a_petavoxel_box_are_made_one_at_a_time() -> None:
    tiling = Tiling(ReceptiveField((16,) * 3, (92,) * 3, (92,) * 3, (12,) * 3), (64,) * 3)
    box = Box.of_shape((10**5,) * 3)
    assert len(list(itertools.islice(tiling.tiles(box), 3))) == 3
    assert tiling.num_tiles(box) == 1563**3


def test_the_papers_tile_is_572_voxels_wide_and_keeps_384() -> None:
    tiling = Tiling(ReceptiveField((16,), (92,), (92,), (12,)), (388,))
    first, second = tiling.tiles(Box((0,), (768,)))
    assert first == Tile(Box((-92,), (480,)), Box((0,), (388,)), Box((0,), (384,)))
    assert second.output == Box((384,), (768,))


@pytest.mark.parametrize(
    ("tile_shape", "message"),
    [
        ((4, 4), "tiles of 2 axes for a network of 1"),
        ((0,), r"tile shape \(0,\) has an empty axis"),
    ],
)
def test_impossible_tile_shapes_are_refused(tile_shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(GeometryError, match=message):
        Tiling(ReceptiveField((1,), (0,), (0,), (0,)), tile_shape)


def test_a_tile_that_keeps_what_it_has_not_is_refused() -> None:
    with pytest.raises(GeometryError, match=r"keeps \[0:5\] of scores \[0:4\]"):
        Tile(input=Box((-1,), (6,)), scores=Box((0,), (4,)), output=Box((0,), (5,)))


@given(tilings(), st.integers(0, 2))
def test_an_axis_may_be_halved_last(case: tuple[Tiling, Box], last: int) -> None:
    tiling, _ = case
    others = [n > s for n, s in zip(tiling.tile_shape, tiling.field.stride)]
    if last >= len(others) or not any(others):
        return
    smaller = tiling.halved(last=last)
    changed = [a != b for a, b in zip(tiling.tile_shape, smaller.tile_shape)]
    assert sum(changed) == 1
    alone = not any(others[:last] + others[last + 1 :])
    assert changed[last] == alone
