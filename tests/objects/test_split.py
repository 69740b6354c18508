"""Touching objects are split at their necks, the same for any blocks."""

from __future__ import annotations

import dataclasses
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.balls import balls
from support.object_cases import OBJECT, Case, cases, comb, spiral
from support.split_whole import split_whole

import bigunet
from bigunet.blocks import BlockGrid
from bigunet.errors import GeometryError, LabelsError, OptionError
from bigunet.geometry import Box
from bigunet.objects import reaching, split_blocks
from bigunet.objects.numbering import number_objects
from bigunet.objects.pieces import join_pieces, pieces_of_block
from bigunet.objects.rule import ObjectRule
from bigunet.objects.seeds import seed_voxels, squared_depth
from bigunet.objects.split_rule import SplitRule
from bigunet.objects.spreading import spread


def split_by_blocks(case: Case, split: SplitRule, **rules: int) -> np.ndarray:
    return bigunet.label_objects(
        case.classes,
        block_shape=case.block_shape,
        connectivity=case.connectivity,
        frames=case.frames,
        split=split,
        **rules,
    )


@st.composite
def split_rules(draw: st.DrawFn, ndim: int) -> SplitRule:
    spacing = st.tuples(*[st.sampled_from([1, 2, 0.5])] * ndim)
    return SplitRule(
        neck=draw(st.sampled_from([0.65, 0.9, 1, 0.3])),
        radius=draw(st.sampled_from([3, 1, 2.5, 6])),
        reach=draw(st.integers(1, 5)),
        merge=draw(st.integers(0, 2)),
        spacing=draw(st.none() | spacing),
    )


@st.composite
def blobs(draw: st.DrawFn) -> Case:
    """Balls that overlap, so that there are necks; blocks cut through them."""
    ndim = draw(st.sampled_from([2, 3]))
    side = {2: 24, 3: 11}[ndim]
    ball = st.tuples(st.tuples(*[st.integers(0, side - 1)] * ndim), st.floats(1, side / 4))
    mask = balls((side,) * ndim, *draw(st.lists(ball, min_size=2, max_size=6)))
    blocks = tuple(draw(st.sampled_from([3, 5, side // 2, side])) for _ in range(ndim))
    return Case(mask * OBJECT, blocks, draw(st.integers(1, ndim)), ndim)


@settings(max_examples=max(40, settings.default.max_examples), deadline=None)
@given(st.data(), blobs() | cases(), st.integers(1, 4), st.sampled_from([0, 4]))
def test_split_objects_are_those_of_the_whole_for_any_blocks(
    data: st.DataObject, case: Case, steps: int, smallest: int
) -> None:
    split = data.draw(split_rules(case.ndim))
    with mock.patch.object(reaching, "STEPS", steps):
        ours = split_by_blocks(case, split, smallest=smallest)
    before = 0
    for frame in np.ndindex(*case.classes.shape[: case.frames]):
        inside = np.asarray(case.classes[frame] == OBJECT)
        whole = split_whole(inside, split, connectivity=case.connectivity, smallest=smallest)
        expected = np.where(whole, whole + before, 0)
        np.testing.assert_array_equal(ours[frame], expected)
        before = max(before, int(expected.max()))
    assert ours.dtype == np.uint32


@settings(max_examples=max(40, settings.default.max_examples), deadline=None)
@given(blobs(), st.tuples(st.floats(0.2, 3), st.floats(0.2, 3), st.floats(0.2, 3)))
def test_any_spacing_gives_the_bytes_of_one_block(
    case: Case, spacing: tuple[float, float, float]
) -> None:
    split = SplitRule(radius=4, reach=3, merge=1, spacing=spacing[: case.ndim])
    whole = dataclasses.replace(case, block_shape=case.classes.shape)
    ours = split_by_blocks(case, split, border=2)
    assert ours.tobytes() == split_by_blocks(whole, split, border=2).tobytes()


@settings(max_examples=max(100, settings.default.max_examples), deadline=None)
@given(
    st.lists(st.integers(1, 13), min_size=1, max_size=5),
    st.sampled_from([1, 0.9, 0.7]),
    st.integers(1, 6),
    st.integers(1, 2),
    st.integers(0, 1),
)
def test_the_halo_of_a_voxel_decides_whether_it_is_a_seed(
    lengths: list[int], neck: float, radius: int, reach: int, merge: int
) -> None:
    split = SplitRule(neck, radius, reach, merge)
    line = np.concatenate([[*[True] * n, False] for n in lengths])
    whole = seed_voxels(line, split, connectivity=1, ndim=1)
    volume = Box.of_shape(line.shape)
    for place in range(line.size):
        voxel = Box((place,), (place + 1,))
        read = voxel.grow(split.halo(1)).intersection(volume)
        seeds = seed_voxels(line[read.within(volume)], split, connectivity=1, ndim=1)
        assert seeds[voxel.within(read)] == whole[place]


@given(blobs() | cases())
def test_a_split_object_lies_in_one_object_and_no_voxel_is_lost(case: Case) -> None:
    parts = split_by_blocks(case, SplitRule(radius=4, reach=3))
    wholes = bigunet.label_objects(case.classes, connectivity=case.connectivity, frames=case.frames)
    assert np.array_equal(parts > 0, wholes > 0)
    pairs = np.unique(np.stack([parts.ravel(), wholes.ravel()]), axis=1)
    assert len(np.unique(pairs[0])) == pairs.shape[1]


BLOCKS: list[Any] = [None, 7, 16]


@pytest.mark.parametrize("side", BLOCKS)
@pytest.mark.parametrize(
    ("mask", "count"),
    [
        (balls((40, 60), ((20, 18), 13), ((20, 41), 13)), 2),
        (balls((40, 60), ((20, 18), 14), ((20, 40), 9)), 2),
        (balls((30, 90), *(((15, 12 + 16 * n), 9) for n in range(5))), 5),
        (balls((24, 24, 36), ((12, 12, 10), 8), ((12, 12, 25), 8)), 2),
        (balls((40, 40), ((20, 20), 15)), 1),
        ((((np.indices((40, 70)).T - (20, 35)) / (9, 30)) ** 2).sum(-1).T < 1, 1),
        (spiral((31, 31)), 1),
        (comb((31, 31)), 1),
        (np.ones((50, 50), bool), 1),
    ],
    ids=["discs", "unequal", "chain", "balls", "disc", "ellipse", "spiral", "comb", "full"],
)
def test_necks_split_and_other_shapes_stay_one(
    mask: np.ndarray, count: int, side: int | None
) -> None:
    shape = None if side is None else (side,) * mask.ndim
    ours = bigunet.label_objects(mask, split=SplitRule(radius=16, reach=16), block_shape=shape)
    assert ours.max() == count


def test_two_discs_are_cut_in_the_middle() -> None:
    mask = balls((40, 60), ((20, 18), 13), ((20, 42), 13))
    ours = bigunet.label_objects(mask, split=SplitRule())
    assert np.array_equal(np.unique(ours[:, :30]), [0, 1])
    assert np.array_equal(np.unique(ours[:, 31:]), [0, 2])


def test_the_depth_of_a_voxel_is_its_distance_to_the_outside_in_the_unit_of_the_spacing() -> None:
    inside = np.ones((5, 9), bool)
    inside[2, 4] = False
    depth = np.sqrt(squared_depth(inside, 6, (3, 1)))
    assert depth[2].tolist() == [4, 3, 2, 1, 0, 1, 2, 3, 4]
    assert depth[:, 4].tolist() == [6, 3, 0, 3, 6]
    assert depth[1, 0] == 5


def test_a_voxel_that_two_seeds_reach_at_once_goes_to_the_lower_id() -> None:
    ids = np.array([[9, 0, 0, 0, 4]], np.uint64)
    spreaded = spread(ids, np.ones((1, 5), bool), 8, connectivity=1, ndim=2)
    assert spreaded.tolist() == [[9, 9, 4, 4, 4]]
    assert spreaded.dtype == np.uint64


def test_a_block_reads_no_voxel_beyond_its_halo() -> None:
    class Watched:
        shape, dtype = (300, 300), np.dtype(np.uint8)
        widest = 0

        def __getitem__(self, where: tuple[slice, ...]) -> np.ndarray:
            sides = [one.stop - one.start for one in where]
            self.widest = max(self.widest, *sides)
            full = np.ones((300, 300), np.uint8)
            full[100, 100] = 0
            return full[where]

    watched, grid = Watched(), BlockGrid(Box.of_shape((300, 300)), (20, 20))
    split = SplitRule(radius=8, reach=9, merge=1)
    rule = ObjectRule(1, split=split)
    split_blocks.split_objects(watched, rule, grid, np.zeros((300, 300), np.uint32))
    assert watched.widest == 20 + 2 * max(reaching.STEPS, *split.halo(2))


def test_pieces_of_one_seed_are_one_object() -> None:
    volume = Box((0,), (8,))
    ids = np.array([0, 5, 5, 3, 3, 3, 0, 5], np.uint32)
    boxes = [Box((0,), (4,)), Box((4,), (8,))]
    labels, pieces = zip(*(pieces_of_block(ids[box.within(volume)], box, volume) for box in boxes))
    assert [one.tolist() for one in labels] == [[0, 1, 1, 2], [1, 1, 0, 2]]
    joined = join_pieces(pieces)
    assert joined.num_objects == 2
    assert joined.sizes.read(0, 2).tolist() == [3, 3]
    assert joined.first_voxels.read(0, 2).tolist() == [1, 3]
    assert number_objects(joined).ids.tolist() == [1, 2, 2, 1]
    with pytest.raises(GeometryError, match=r"ids of shape \(8,\) for the block \[0:4\]"):
        pieces_of_block(ids, boxes[0], volume)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"neck": 0}, "neck 0 must be above 0, and 1 at most"),
        ({"neck": 1.2}, "neck 1.2 must be"),
        ({"radius": 0}, "radius 0 must be above 0"),
        ({"radius": float("inf")}, "radius inf must be"),
        ({"reach": 0}, "reach 0 must be 1 step or more"),
        ({"merge": -1}, "merge -1 0 or more"),
        ({"spacing": (1, -1)}, "spacing .* must be above 0"),
    ],
)
def test_a_number_out_of_its_range_is_refused(rule: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        SplitRule(**rule)


def test_classes_that_change_between_two_reads_are_refused() -> None:
    class Changing:
        shape, dtype, reads = (8,), np.dtype(np.uint8), 0

        def __getitem__(self, where: tuple[slice, ...]) -> np.ndarray:
            self.reads += 1
            return np.full(where[0].stop - where[0].start, self.reads > 1, np.uint8)

    with pytest.raises(LabelsError, match="have changed while they were read"):
        bigunet.label_objects(Changing(), split=SplitRule())


def test_a_spacing_of_other_axes_is_refused() -> None:
    with pytest.raises(OptionError, match="objects of 2 axes; give 2 numbers"):
        bigunet.label_objects(np.ones((4, 4), int), split=SplitRule(spacing=(1, 1, 1)))
