"""Objects of neighbouring frames are linked as in the whole image, whatever the blocks."""

from __future__ import annotations

import dataclasses
import json
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.link_whole import link_whole
from support.object_cases import BORDER, OBJECT, Case, cases, components_of

import bigunet
from bigunet.errors import GeometryError, LabelsError, OptionError
from bigunet.geometry import Point
from bigunet.objects.link_rule import LinkRule, links_of
from bigunet.objects.linking import link_objects
from bigunet.objects.overlaps import BlockOverlaps, Overlaps
from bigunet.objects.ratios import is_less
from bigunet.objects.rule import ObjectRule

THRESHOLDS = (0.5, 0.25, 0.2, 1.0, 0.4, 0.75, 1e-6, 0.6, 1 / 3)
LINK = (LinkRule(-3, "0.000001"),)


@st.composite
def series(draw: st.DrawFn) -> tuple[Case, dict[str, float | None]]:
    """Frames that resemble the one before, with blocks, and which of their axes are linked."""
    links, ndim = draw(
        st.sampled_from([("z", 2), ("z", 2), ("t", 2), ("t", 3), ("tz", 2), ("tz", 2), ("t", 1)])
    )
    side = {1: 16, 2: 6, 3: 3}[ndim]
    frames = tuple(draw(st.integers(1, 4)) for _ in links)
    if links == "z":  # a time axis before, over which nothing is linked
        frames = (2, *frames) if draw(st.booleans()) else frames
    elif links == "t" and ndim == 2 and draw(st.booleans()):
        frames = (*frames, 2)
    shape = frames + tuple(draw(st.integers(1, side)) for _ in range(ndim))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    mask = np.broadcast_to(rng.random(shape[-ndim:]) < draw(st.sampled_from([0.7, 0.4])), shape)
    mask = mask ^ (rng.random(shape) < draw(st.sampled_from([0.1, 0.3, 0, 0.5])))
    mask &= (rng.random(frames) < 0.9).reshape(frames + (1,) * ndim)
    classes = np.where(mask, OBJECT, np.where(rng.random(shape) < 0.7, BORDER, 0)).astype("u1")
    blocks = tuple(draw(st.sampled_from([1, 2, 3, n])) for n in shape)
    thresholds = st.sampled_from(THRESHOLDS)
    return Case(classes, blocks, draw(st.integers(1, ndim)), ndim), {
        "link_planes": draw(thresholds) if "z" in links else None,
        "link_time": draw(thresholds) if "t" in links else None,
    }


def linked_whole(case: Case, links: dict[str, float | None], smallest: int) -> np.ndarray:
    steps = []
    if links["link_planes"] is not None:
        steps.append((case.frames - 1, Fraction(str(links["link_planes"]))))
    if links["link_time"] is not None:
        steps.append((0, Fraction(str(links["link_time"]))))
    return link_whole(components_of(case)[0], steps, smallest)


def label_linked(case: Case, links: dict[str, float | None], **rules: Any) -> np.ndarray:
    return bigunet.label_objects(
        case.classes,
        block_shape=case.block_shape,
        connectivity=case.connectivity,
        frames=case.frames,
        **links,
        **rules,
    )


@settings(max_examples=max(150, settings.default.max_examples))
@given(series(), st.sampled_from([0, 1, 4, 9]))
def test_linked_objects_are_those_of_the_whole_for_any_blocks(
    drawn: tuple[Case, dict[str, float | None]], smallest: int
) -> None:
    case, links = drawn
    ours = label_linked(case, links, smallest=smallest)
    expected = linked_whole(case, links, smallest)
    assert ours.dtype == expected.dtype
    np.testing.assert_array_equal(ours, expected)


@settings(max_examples=max(40, settings.default.max_examples))
@given(cases(), st.sampled_from(THRESHOLDS))
def test_objects_that_go_through_many_blocks_are_linked_as_in_the_whole(
    case: Case, least: float
) -> None:
    links = {"link_planes": None, "link_time": least}
    if case.frames == 0 or (case.frames == 2 and case.ndim != 2):
        case = Case(case.classes[None], (1, *case.block_shape), case.connectivity, case.ndim)
    while case.frames > 1:
        case = Case(case.classes[0], case.block_shape[1:], case.connectivity, case.ndim)
    np.testing.assert_array_equal(label_linked(case, links), linked_whole(case, links, 0))


@settings(max_examples=max(40, settings.default.max_examples))
@given(series(), st.booleans())
def test_split_objects_are_linked_and_objects_grow_in_their_frame_the_same_for_any_blocks(
    drawn: tuple[Case, dict[str, float | None]], splits: bool
) -> None:
    case, links = drawn
    split = bigunet.SplitRule(radius=2, reach=1, merge=0) if splits else None
    whole = Case(case.classes, case.classes.shape, case.connectivity, case.ndim)
    rules = {"split": split, "border": BORDER, "smallest": 3}
    ours = label_linked(case, links, **rules)
    np.testing.assert_array_equal(ours, label_linked(whole, links, **rules))
    plain = label_linked(whole, {}, split=split)
    steps = [(case.frames - 1, links["link_planes"]), (0, links["link_time"])]
    exact = [(axis, Fraction(str(least))) for axis, least in steps if least is not None]
    expected = link_whole(plain, exact, 3)
    np.testing.assert_array_equal(ours[case.classes != BORDER], expected[case.classes != BORDER])
    for frame in np.ndindex(*case.classes.shape[: case.frames]):
        assert set(np.unique(ours[frame])) <= {0, *np.unique(expected[frame])}


def lines(*frames: str) -> np.ndarray:
    """Frames of one line each, in which ``#`` is an object."""
    return np.array([[[int(mark == "#") for mark in frame]] for frame in frames])


@pytest.mark.parametrize("side", [1, 2, 9])
@pytest.mark.parametrize(
    ("frames", "least", "expected"),
    [
        (["###.", "###.", ".###"], 0.5, [[1, 1, 1, 0]] * 2 + [[0, 1, 1, 1]]),  # IoU 2/4 is enough
        (["###.", ".###"], 0.51, [[1, 1, 1, 0], [0, 2, 2, 2]]),
        (["#####", "##.##"], 0.4, [[1] * 5, [1, 1, 0, 2, 2]]),  # a tie: the lower id
        (["##.##", "#####"], 0.4, [[1, 1, 0, 2, 2], [1] * 5]),
        (["#####", "#.###"], 0.1, [[1] * 5, [2, 0, 1, 1, 1]]),  # the best, and not the first
        (["##.##", "#####", "##.##"], 0.4, [[1, 1, 0, 2, 2], [1] * 5, [1, 1, 0, 3, 3]]),
        (["###", "...", "###"], 0.1, [[1] * 3, [0] * 3, [2] * 3]),  # no link over an empty frame
        (["#.##", "###.", "#..."], 1, [[1, 0, 2, 2], [3, 3, 3, 0], [4, 0, 0, 0]]),
        (["##..", "####", "..##"], 0.5, [[1, 1, 0, 0], [1] * 4, [0, 0, 1, 1]]),
        (
            ["####....", "..######", "......##"],
            0.2,
            [[1] * 4 + [0] * 4, [0, 0] + [1] * 6, [0] * 6 + [1] * 2],
        ),
    ],
)
def test_objects_link_to_the_best_partner_if_that_is_mutual(
    frames: list[str], least: float, expected: list[list[int]], side: int
) -> None:
    ours = bigunet.label_objects(
        lines(*frames), frames=1, link_planes=least, block_shape=(side, 1, 2)
    )
    assert ours[:, 0].tolist() == expected
    in_time = bigunet.label_objects(
        lines(*frames), frames=1, link_time=least, block_shape=(side, 1, 2)
    )
    assert np.array_equal(in_time, ours)


@given(st.integers(0, 10_000), st.integers(1, 400))
def test_the_lowest_ids_win_among_any_number_of_equal_partners(seed: int, count: int) -> None:
    earlier = np.random.default_rng(seed).integers(1, 50, count)
    later = np.random.default_rng(seed + 1).integers(50, 100, count)
    pairs = sorted(set(zip(earlier.tolist(), later.tolist())))
    first = {a: min(d for c, d in pairs if c == a) for a, _ in pairs}
    back = {b: min(c for c, d in pairs if d == b) for _, b in pairs}
    linked = link_objects(
        np.array([0, *[1000] * 99]), [overlaps(*((a, b, 1) for a, b in pairs))], LINK
    )
    together = {(a, b) for a, b in first.items() if back[b] == a}
    assert {(a, b) for a, b in pairs if linked.ids[a] == linked.ids[b]} == together
    assert linked.num_objects == 99 - len(together)


@pytest.mark.parametrize(
    ("least", "linked"),
    [
        (0.3, True),
        ("0.3", True),
        (Decimal("0.3"), True),
        (Fraction(3, 10), True),
        (np.float32(0.3), True),
        (0.30000000000000004, False),
        (Fraction(1, 3), False),
    ],
)
def test_a_threshold_is_the_decimal_number_that_was_given(least: Any, linked: bool) -> None:
    both = lines("###.......", "##########")
    assert bigunet.label_objects(both, frames=1, link_time=least).max() == (1 if linked else 2)


def test_small_objects_are_left_out_by_the_size_of_all_frames_together() -> None:
    frames = lines("##.#", "##.#", "...#")
    ours = bigunet.label_objects(frames, frames=1, link_planes=0.5, smallest=4)
    assert ours[:, 0].tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]]


def test_planes_are_linked_before_time_so_that_overlaps_of_volumes_decide() -> None:
    first = lines("####", "#...")
    then = lines("#.##", "##..")
    ours = bigunet.label_objects(np.stack([first, then]), frames=2, link_planes=0.25, link_time=0.3)
    # The volume of 5 voxels shares 2 with each: IoU 2/6 with that of 3, and 2/5 with that of 2.
    assert ours[:, :, 0].tolist() == [
        [[1, 1, 1, 1], [1, 0, 0, 0]],
        [[2, 0, 1, 1], [2, 2, 0, 0]],
    ]


def test_counts_beyond_products_of_64_bits_are_compared_exactly() -> None:
    huge = 2**61
    sizes = np.array([0, huge, huge - 1, huge])
    overlaps = Overlaps(np.array([1, 1]), np.array([2, 3]), np.array([2**60, 2**60]))
    rule = LinkRule(-3, "1e-18")
    linked = link_objects(sizes, [BlockOverlaps((overlaps,))], [rule])
    assert linked.ids.tolist() == [0, 1, 1, 2]
    assert (linked.num_objects, linked.num_small) == (2, 0)


counts = st.integers(0, 2**63 - 1) | st.integers(2**29, 2**36) | st.integers(0, 9)


@given(st.lists(st.tuples(counts, counts, counts, counts), max_size=9))
def test_ratios_are_compared_as_fractions_are(four: list[tuple[int, ...]]) -> None:
    columns = np.array(four, np.int64).reshape(-1, 4).T
    columns[1::2] = np.maximum(columns[1::2], 1)
    expected = [Fraction(a, b) < Fraction(c, d) for a, b, c, d in columns.T.tolist()]
    assert is_less(*columns).tolist() == expected


@pytest.mark.parametrize(
    ("shape", "frames", "rules", "match"),
    [
        ((2, 3, 3), 1, {"link_planes": 0}, "link_planes 0 must be a number above 0, and 1 at most"),
        ((2, 3, 3), 1, {"link_time": 1.5}, "link_time 1.5 must be a number above 0"),
        ((2, 3, 3), 1, {"link_time": float("nan")}, "link_time nan must be"),
        ((2, 3, 3), 1, {"link_time": True}, "link_time True must be"),
        ((2, 3, 3), 1, {"link_time": "1/0"}, "link_time 1/0 must be"),
        ((2, 3, 3), 1, {"link_time": 1e-19}, "is too fine; give a number of at most 18 decimals"),
        ((3, 3), 0, {"link_planes": 0.5}, "there are 0 axes of frames, and objects of 2 axes"),
        ((2, 3, 3, 3), 1, {"link_planes": 0.5}, "links 2D objects .* objects of 3 axes: leave"),
        ((3, 3), 0, {"link_time": 0.5}, "link_time needs axes t, y, x or t, z, y, x; there are 0"),
        ((2, 3, 3), 1, {"link_time": 0.5, "link_planes": 0.5}, "1 axes of frames with the planes"),
        ((1, 1, 2, 3, 3), 3, {"link_time": 0.5}, "there are 3 axes of frames"),
        ((1, 1, 2, 3, 3), 2, {"link_time": 0.5}, "2 axes of frames, and objects of 3 axes"),
    ],
)
def test_links_that_cannot_be_meant_are_refused(
    shape: Point, frames: int, rules: dict[str, Any], match: str
) -> None:
    with pytest.raises(OptionError, match=match):
        bigunet.label_objects(np.zeros(shape, int), frames=frames, **rules)


def test_rules_of_links_that_do_not_fit_the_objects_are_refused() -> None:
    planes, time = links_of(2, 2, link_planes=0.5, link_time=0.5)
    assert ObjectRule(1, links=(planes, time)).links == (planes, time)
    assert planes == LinkRule(-3, "0.50")
    assert json.loads(json.dumps(dataclasses.asdict(planes))) == {"axis": -3, "least": "1/2"}
    for links in [(time, planes), (planes, planes), (LinkRule(-2, "1"),)]:
        with pytest.raises(OptionError, match="below -2, the innermost first"):
            ObjectRule(1, links=links)
    with pytest.raises(OptionError, match="axis 0 of a link must be counted from the last"):
        LinkRule(0, "1")
    with pytest.raises(OptionError, match="threshold 2 must be above 0"):
        LinkRule(-3, "2")


def overlaps(*pairs: Point) -> BlockOverlaps:
    return BlockOverlaps((Overlaps(*np.array(pairs, np.int64).T),))


def test_overlaps_that_are_not_of_these_objects_are_refused() -> None:
    sizes, links = np.array([0, 5, 5]), links_of(1, 2, link_planes=0.5)
    for pair in [(1, 3, 2), (0, 2, 2)]:
        with pytest.raises(GeometryError, match="there are 2; count the overlaps"):
            link_objects(sizes, [overlaps(pair)], links)
    with pytest.raises(GeometryError, match="by more than their sizes; give each block once"):
        link_objects(sizes, [overlaps((1, 2, 3)), overlaps((1, 2, 3))], links)
    with pytest.raises(GeometryError, match="has overlaps of 1 links, and there are 2"):
        link_objects(sizes, [overlaps((1, 2, 3))], links * 2)
    with pytest.raises(LabelsError, match="object 2 lies in two neighbouring frames"):
        overlaps((1, 2, 3), (2, 2, 1))
    with pytest.raises(GeometryError, match="follow one another in a circle"):
        link_objects(sizes, [overlaps((1, 2, 5), (2, 1, 5))], links)
    circle = overlaps((1, 2, 5), (2, 3, 5), (3, 1, 5))
    with pytest.raises(GeometryError, match="follow one another in a circle"):
        link_objects(np.array([0, 5, 5, 5]), [circle], links)
    with pytest.raises(OptionError, match="smallest -1 must be 0 or more"):
        link_objects(sizes, [], links, smallest=-1)
