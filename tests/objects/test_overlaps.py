"""Overlaps of objects in neighbouring frames: each is counted once, and kept as bytes."""

from __future__ import annotations

import contextlib
import io
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigunet.blocks import BlockGrid
from bigunet.errors import GeometryError, OutputError
from bigunet.geometry import Box
from bigunet.objects import overlap_sums
from bigunet.objects.link_rule import links_of
from bigunet.objects.overlap_sums import sum_overlaps
from bigunet.objects.overlaps import (
    BlockOverlaps,
    Overlaps,
    box_to_link,
    overlaps_of_block,
    renamed,
)

LINKS = links_of(2, 2, link_planes=0.5, link_time=0.5)


@st.composite
def frames_of_ids(draw: st.DrawFn) -> np.ndarray:
    """Ids of some objects in each frame, (t, z, y, x); past 32 bits, at times."""
    shape = tuple(draw(st.integers(1, most)) for most in (3, 4, 5, 5))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    local = rng.integers(0, draw(st.sampled_from([2, 5])), shape)
    frame = np.arange(shape[0] * shape[1]).reshape(*shape[:2], 1, 1)
    before = draw(st.sampled_from([0, 2**32]))
    return np.where(local, before + local + 10 * frame, 0).astype(
        np.uint64 if before else np.uint32
    )


def counted(ids: np.ndarray, axis: int) -> Counter[tuple[int, int]]:
    frames = np.moveaxis(ids, axis, 0)
    pairs = zip(frames[:-1].ravel().tolist(), frames[1:].ravel().tolist())
    return Counter(pair for pair in pairs if all(pair))


@given(frames_of_ids(), st.tuples(*[st.integers(1, 4)] * 4), st.integers(0, 30), st.randoms())
def test_overlaps_of_all_blocks_are_those_of_the_whole(
    ids: np.ndarray, block_shape: tuple[int, ...], at_once: int, random: object
) -> None:
    grid = BlockGrid(Box.of_shape(ids.shape), block_shape)
    boxes = [grid.box(index) for index in np.ndindex(*grid.shape)]
    random.shuffle(boxes)  # type: ignore[attr-defined]
    blocks = [
        overlaps_of_block(lambda box: ids[box.within(grid.region)], box, grid.region, LINKS)
        for box in boxes
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overlap_sums, "_AT_ONCE", at_once)
        sums = sum_overlaps(iter(blocks), len(LINKS))
    for link, ours in zip(LINKS, sums, strict=True):
        pairs = list(zip(ours.earlier.tolist(), ours.later.tolist()))
        assert pairs == sorted(pairs)
        assert dict(zip(pairs, ours.voxels.tolist(), strict=True)) == counted(ids, link.axis)
        assert ours.earlier.dtype == ours.later.dtype == ours.voxels.dtype == np.int64


@given(frames_of_ids())
def test_overlaps_come_back_from_bytes_that_are_always_the_same(ids: np.ndarray) -> None:
    volume = Box.of_shape(ids.shape)
    block = overlaps_of_block(lambda box: ids[box.within(volume)], volume, volume, LINKS)
    content = block.to_bytes()
    again = BlockOverlaps.from_bytes(content)
    assert again.to_bytes() == content
    assert [one.num_pairs for one in again.of_links] == [one.num_pairs for one in block.of_links]


@given(st.data())
def test_damaged_bytes_are_refused_or_change_nothing(data: st.DataObject) -> None:
    pairs = Overlaps(np.array([1, 2]), np.array([3, 3]), np.array([7, 9]))
    block = BlockOverlaps((pairs, pairs))
    content = bytearray(block.to_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(OutputError):
        assert BlockOverlaps.from_bytes(bytes(content)).to_bytes() == block.to_bytes()


@pytest.mark.parametrize(
    "arrays",
    [
        {"earlier_0": [1], "later_0": [2]},
        {"earlier_0": [1], "later_0": [1], "voxels_0": [2]},
        {"earlier_0": [1], "later_0": [2, 3], "voxels_0": [2]},
        {"earlier_1": [1], "later_1": [2], "voxels_1": [2]},
    ],
    ids=["missing", "itself", "lengths", "number"],
)
def test_arrays_that_are_no_overlaps_are_refused(arrays: dict[str, list[int]]) -> None:
    file = io.BytesIO()
    np.savez(file, **{name: np.array(value) for name, value in arrays.items()})
    with pytest.raises(OutputError, match=r"not the overlaps of a block .*they are counted again"):
        BlockOverlaps.from_bytes(file.getvalue())


def test_a_block_reads_one_frame_more_where_the_volume_goes_on() -> None:
    volume = Box((0, 0, 0), (6, 8, 8))
    first, last = Box((0, 0, 4), (3, 4, 8)), Box((3, 0, 4), (6, 4, 8))
    assert box_to_link(first, volume, -3) == Box((0, 0, 4), (4, 4, 8))
    assert box_to_link(last, volume, -3) == last
    for axis in (-4, 0):
        with pytest.raises(GeometryError, match=f"has no axis {axis} to link along"):
            box_to_link(first, volume, axis)


def test_overlaps_of_objects_that_became_one_are_added() -> None:
    pairs = Overlaps(np.array([1, 1, 2]), np.array([3, 4, 3]), np.array([7, 9, 2]))
    one = renamed(pairs, np.array([0, 1, 1, 3, 3]))
    assert (one.earlier.tolist(), one.later.tolist(), one.voxels.tolist()) == ([1], [3], [18])
