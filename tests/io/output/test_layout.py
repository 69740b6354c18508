"""Laws of pyramid layouts: shards and blocks are whole, and cover each voxel once."""

from __future__ import annotations

import itertools
from math import prod
from operator import le

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigunet.errors import GeometryError
from bigunet.geometry import Box
from bigunet.io.output.extents import chunk_limit, default_block_shape
from bigunet.io.output.layout import (
    PyramidLayout,
    PyramidLevel,
    plan_pyramid,
)


@st.composite
def layouts(draw: st.DrawFn) -> PyramidLayout:
    ndim = draw(st.integers(1, 3))
    per_axis = {
        "shape": st.integers(1, 20),
        "block_shape": st.sampled_from([1, 2, 3, 4, 6, 7, 8, 12, 16]),
        "downsampled": st.booleans(),
        "chunk_limit": st.integers(1, 8),
    }
    drawn = {name: draw(st.tuples(*[one] * ndim)) for name, one in per_axis.items()}
    shape, block_shape = drawn.pop("shape"), drawn.pop("block_shape")
    return plan_pyramid(shape, block_shape, smallest=draw(st.integers(1, 8)), **drawn)


def blocks(layout: PyramidLayout, group: int) -> list[Box]:
    whole = Box.of_shape(layout.levels[layout.groups[group][0]].shape)
    shape = layout.block_shape(group)
    boxes = []
    for index in np.ndindex(*layout.grid_shape(group)):
        start = tuple(i * s for i, s in zip(index, shape))
        boxes.append(Box(start, tuple(a + s for a, s in zip(start, shape))).intersection(whole))
    return boxes


def parts(layout: PyramidLayout, group: int, block: Box) -> dict[int, Box]:
    first, *rest = layout.groups[group]
    boxes = {first: block}
    for level in rest:
        block = layout.coarser(block, level)
        boxes[level] = block
    return boxes


@given(layouts())
def test_the_blocks_of_a_group_cover_each_of_its_levels_once(layout: PyramidLayout) -> None:
    for group, levels in enumerate(layout.groups):
        hits = {level: np.zeros(layout.levels[level].shape, int) for level in levels}
        for block in blocks(layout, group):
            for level, part in parts(layout, group, block).items():
                hits[level][part.within(Box.of_shape(hits[level].shape))] += 1
        assert all((hit == 1).all() for hit in hits.values())


@given(layouts())
def test_each_shard_of_each_level_lies_in_exactly_one_block(layout: PyramidLayout) -> None:
    for group in range(len(layout.groups)):
        for block in blocks(layout, group):
            for level, part in parts(layout, group, block).items():
                shape, shard = layout.levels[level].shape, layout.levels[level].shard
                assert all(a % s == 0 for a, s in zip(part.start, shard))
                assert all(b % s == 0 or b == n for b, s, n in zip(part.stop, shard, shape))
                assert part.size


@given(layouts())
def test_a_shard_is_whole_chunks_and_level_0_has_the_block_as_its_shard(
    layout: PyramidLayout,
) -> None:
    assert layout.block_shape(0) == layout.levels[0].shard
    for level in layout.levels:
        assert all(s % c == 0 for s, c in zip(level.shard, level.chunk))


@given(layouts())
def test_a_level_is_level_0_divided_by_its_factor_rounded_up(layout: PyramidLayout) -> None:
    for level in layout.levels:
        expected = tuple(-(-n // f) for n, f in zip(layout.shape, level.factor))
        assert level.shape == expected


@given(layouts())
def test_the_source_of_a_box_covers_exactly_that_box(layout: PyramidLayout) -> None:
    for group in range(1, len(layout.groups)):
        level = layout.groups[group][0]
        sources = [layout.finer(block, level) for block in blocks(layout, group)]
        assert sum(source.size for source in sources) == prod(layout.levels[level - 1].shape)
        for source, block in itertools.zip_longest(sources, blocks(layout, group)):
            assert layout.coarser(source, level) == block


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 600))
def test_levels_go_on_until_no_downsampled_axis_is_larger_than_the_smallest(
    height: int, width: int, smallest: int
) -> None:
    layout = plan_pyramid(
        (height, width),
        (256, 256),
        downsampled=(True, False),
        chunk_limit=(64, 64),
        smallest=smallest,
    )
    *larger, last = (level.shape[0] for level in layout.levels)
    assert last <= smallest
    assert all(extent > smallest for extent in larger)
    assert {level.shape[1] for level in layout.levels} == {width}


@pytest.mark.parametrize(
    ("shape", "block_shape", "limit", "groups", "shards"),
    [
        # shards have the size of a chunk at level 3; level 4 begins a new group
        (
            (9000, 5000),
            (4096,) * 2,
            (512,) * 2,
            ((0, 1, 2, 3), (4, 5)),
            [4096, 2048, 1024, 512, 1024, 512],
        ),
        ((600, 600), (600, 600), (512, 512), ((0, 1),), [600, 300]),  # 300 is a chunk
        ((600, 600), (75, 75), (64, 64), ((0,), (1,)), [75, 75]),  # an odd shard never halves
        ((500, 500), (512, 512), (512, 512), ((0,),), [512]),  # level 0 is small enough
    ],
)
def test_levels_share_a_group_until_a_shard_has_the_size_of_a_chunk(
    shape: tuple[int, ...],
    block_shape: tuple[int, ...],
    limit: tuple[int, ...],
    groups: tuple[tuple[int, ...], ...],
    shards: list[int],
) -> None:
    layout = plan_pyramid(shape, block_shape, downsampled=(True, True), chunk_limit=limit)
    assert layout.groups == groups
    assert [level.shard[0] for level in layout.levels] == shards


def test_an_axis_of_extent_1_is_never_halved() -> None:
    layout = plan_pyramid((3, 64), (1, 8), downsampled=(True, True), chunk_limit=(1, 4), smallest=8)
    assert [level.factor for level in layout.levels] == [(1, 1), (2, 2), (4, 4), (4, 8)]
    assert [level.shape for level in layout.levels] == [(3, 64), (2, 32), (1, 16), (1, 8)]


@pytest.mark.parametrize(
    ("shape", "network_ndim", "block_shape"),
    [
        ((100_000, 80_000), 2, (4096, 4096)),
        ((5, 40, 300, 20_000), 2, (1, 8, 512, 4096)),  # planes up to 4096² voxels
        ((3, 20_000, 10_000), 2, (1, 4096, 4096)),
        ((10, 10), 2, (64, 64)),  # never below 64
        ((7, 2000, 2000, 2000), 3, (1, 128, 1024, 1024)),
        ((9, 33, 500), 3, (16, 64, 512)),
    ],
)
def test_a_default_block_is_no_larger_than_the_image_needs(
    shape: tuple[int, ...], network_ndim: int, block_shape: tuple[int, ...]
) -> None:
    assert default_block_shape(shape, network_ndim=network_ndim) == block_shape


@given(st.lists(st.integers(1, 10**6), min_size=3, max_size=4), st.sampled_from([2, 3]))
def test_default_blocks_and_chunk_limits_give_chunks_within_the_limit(
    shape: list[int], network_ndim: int
) -> None:
    limit = chunk_limit(network_ndim, len(shape))
    block_shape = default_block_shape(tuple(shape), network_ndim=network_ndim)
    layout = plan_pyramid(
        tuple(shape), block_shape, downsampled=(True,) * len(shape), chunk_limit=limit
    )
    assert all(map(le, layout.levels[0].chunk, limit))
    assert prod(block_shape) <= 2**28


@pytest.mark.parametrize(
    ("shape", "block_shape", "message"),
    [
        ((10,), (4, 4), "differ in length"),
        ((10, 0), (4, 4), "at least 1"),
        ((10, 10), (4, 0), "at least 1"),
    ],
)
def test_a_plan_that_does_not_fit_is_refused(
    shape: tuple[int, ...], block_shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(GeometryError, match=message):
        plan_pyramid(shape, block_shape, downsampled=(True, True), chunk_limit=(4, 4))


def test_a_shard_that_cuts_a_chunk_is_refused() -> None:
    with pytest.raises(GeometryError, match="not a whole number of chunks"):
        PyramidLevel(shape=(10,), factor=(1,), shard=(6,), chunk=(4,))


def test_groups_that_skip_a_level_are_refused() -> None:
    level = PyramidLevel(shape=(10,), factor=(1,), shard=(4,), chunk=(4,))
    with pytest.raises(GeometryError, match="do not name 2 levels once"):
        PyramidLayout((level, level), ((0,),))


@pytest.mark.parametrize(
    ("ndim", "network_ndim", "message"),
    [(2, 4, "only 2 and 3"), (2, 3, "does not fit a network of 3")],
)
def test_an_image_that_the_network_cannot_take_is_refused(
    ndim: int, network_ndim: int, message: str
) -> None:
    with pytest.raises(GeometryError, match=message):
        default_block_shape((10,) * ndim, network_ndim=network_ndim)
    with pytest.raises(GeometryError, match=message):
        chunk_limit(network_ndim, ndim)
