"""Windows of objects with filled holes: right ones are accepted, wrong ids are seen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import ndimage
from support.balls import some_balls
from support.hole_cases import filled_whole

import bigunet
from bigunet import SplitRule
from bigunet.geometry import Box
from bigunet.objects.rule import ObjectRule
from bigunet.segmentation.instances import window_classes
from bigunet.segmentation.instances.window_check import wrong_ids

SIDE = 40
WHOLE = Box((0, 0), (SIDE, SIDE))
MARGINS = st.sampled_from([0, 1, 4, 32])


def wrong(
    classes: np.ndarray, ids: np.ndarray, window: Box, rule: ObjectRule, margin: int = 32
) -> int:
    volume = Box.of_shape(classes.shape)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(window_classes, "MARGIN", margin)
        return wrong_ids(
            lambda box: classes[box.within(volume)],
            lambda box: ids[box.within(volume)],
            window=window,
            volume=volume,
            rule=rule,
        )


def objects_of(classes: np.ndarray, rule: ObjectRule) -> np.ndarray:
    return bigunet.label_objects(
        classes,
        border=rule.border,
        border_width=rule.border_width,
        smallest=rule.smallest,
        connectivity=rule.connectivity,
        split=rule.split,
        fill_holes=rule.fill_holes,
    )


@st.composite
def windows(draw: st.DrawFn) -> Box:
    start = tuple(draw(st.integers(0, SIDE - 1)) for _ in range(2))
    return Box(start, tuple(draw(st.integers(low + 1, SIDE)) for low in start))


@st.composite
def pictures(draw: st.DrawFn) -> np.ndarray:
    """Balls with holes, islands in the holes, and voxels of the border class 2; or noise."""
    seed = draw(st.integers(0, 9999))
    rng = np.random.default_rng(seed)
    shape = (SIDE, SIDE)
    if draw(st.booleans()):
        shares = draw(st.sampled_from([(0.2, 0.7, 0.1), (0.1, 0.6, 0.3), (0.4, 0.6, 0)]))
        return rng.choice(3, shape, p=shares).astype(np.uint8)
    classes = some_balls(shape, seed, draw(st.sampled_from([4, 12, 40])), 9)
    classes[some_balls(shape, seed + 1, 12, draw(st.sampled_from([2, 5]))) > 0] = 0
    classes[some_balls(shape, seed + 2, 6, 2) > 0] = 1
    others = rng.random(shape) < draw(st.sampled_from([0, 0.1, 0.5, 1]))
    classes[others & (some_balls(shape, seed + 3, 20, 4) > 0)] = 2
    return classes


def rules(split: st.SearchStrategy[SplitRule | None]) -> st.SearchStrategy[ObjectRule]:
    return st.builds(
        ObjectRule,
        st.just(1),
        border=st.sampled_from([None, 2]),
        border_width=st.integers(0, 3),
        smallest=st.sampled_from([0, 1, 5, 30]),
        connectivity=st.sampled_from([1, 2]),
        split=split,
        fill_holes=st.sampled_from([1, 4, 12, 50, 10**6]),
    )


@settings(max_examples=max(200, settings.default.max_examples))
@given(pictures(), windows(), rules(st.none()), MARGINS)
def test_each_window_of_right_objects_is_accepted(
    classes: np.ndarray, window: Box, rule: ObjectRule, margin: int
) -> None:
    assert wrong(classes, objects_of(classes, rule), window, rule, margin) == 0


@settings(max_examples=max(60, settings.default.max_examples))
@given(
    pictures(),
    windows(),
    rules(st.builds(SplitRule, radius=st.sampled_from([2, 5]), reach=st.integers(1, 3))),
    MARGINS,
)
def test_each_window_of_right_split_objects_is_accepted(
    classes: np.ndarray, window: Box, rule: ObjectRule, margin: int
) -> None:
    assert wrong(classes, objects_of(classes, rule), window, rule, margin) == 0


@given(pictures(), windows(), rules(st.none()), st.sampled_from([0, 3, 1000]), MARGINS)
def test_ids_of_another_size_of_holes_are_seen_in_the_whole(
    classes: np.ndarray, window: Box, rule: ObjectRule, other: int, margin: int
) -> None:
    right = objects_of(classes, rule)
    changed = ObjectRule(
        1, rule.border, rule.border_width, rule.smallest, rule.connectivity, fill_holes=other
    )
    wrong_one = objects_of(classes, changed)
    # With the same objects, only other numbers: a window cannot see these.
    assume(((right > 0) != (wrong_one > 0)).any())
    assert wrong(classes, wrong_one, WHOLE, rule, margin) > 0


@given(pictures(), windows(), rules(st.none()), st.integers(0, 9999))
def test_any_voxel_with_another_id_is_seen_in_the_whole(
    classes: np.ndarray, window: Box, rule: ObjectRule, seed: int
) -> None:
    ids = objects_of(classes, rule)
    rng = np.random.default_rng(seed)
    place = tuple(rng.integers(0, SIDE, 2))
    mask = filled_whole(classes, rule.fill_holes, ndim=2, object_class=1) == 1
    labels = ndimage.label(mask, ndimage.generate_binary_structure(2, rule.connectivity))[0]
    # One voxel that is an object of its own may have any id that no other has.
    assume(not mask[place] or (labels == labels[place]).sum() > 1)
    ids[place] = ids[place] + 1 if rng.random() < 0.5 or not ids[place] else 0
    assert wrong(classes, ids, WHOLE, rule) > 0


def ring(side: int) -> np.ndarray:
    """A ring of two voxels around a hole, in an image of 40 by 40."""
    classes = np.zeros((SIDE, SIDE), np.uint8)
    low, high = (SIDE - side) // 2, (SIDE + side) // 2
    classes[low - 2 : high + 2, low - 2 : high + 2] = 1
    classes[low:high, low:high] = 0
    return classes


@pytest.mark.parametrize(
    ("window", "margin"),
    [
        (WHOLE, 0),
        (Box((10, 10), (30, 30)), 0),  # the whole hole
        (Box((18, 18), (22, 22)), 32),  # a part of it; the margin shows the rest
        (Box((18, 10), (22, 30)), 0),  # the ids show that it is filled, and some voxels are not
    ],
)
def test_a_hole_that_is_filled_in_part_is_seen(window: Box, margin: int) -> None:
    classes = ring(10)
    rule = ObjectRule(1, fill_holes=100)
    ids = objects_of(classes, rule)
    assert (ids[13:27, 13:27] == 1).all()
    assert wrong(classes, ids, window, rule, margin) == 0
    ids[20, 20] = 0
    assert wrong(classes, ids, window, rule, margin) == 1


@pytest.mark.parametrize(("size", "is_seen"), [(99, True), (100, False)])
def test_a_hole_that_is_too_large_must_not_be_filled(size: int, is_seen: bool) -> None:
    classes = ring(10)
    filled = objects_of(classes, ObjectRule(1, fill_holes=100))
    found = wrong(classes, filled, Box((18, 18), (22, 22)), ObjectRule(1, fill_holes=size))
    assert (found > 0) == is_seen


def test_a_part_of_a_hole_is_accepted_filled_and_not() -> None:
    classes = ring(10)
    window, rule = Box((18, 18), (22, 22)), ObjectRule(1, fill_holes=100)
    for ids in (classes, objects_of(classes, rule)):
        assert wrong(classes, ids, window, rule, margin=0) == 0
    # Components are checked one voxel around the window, too.
    assert wrong(classes, classes, window, rule, margin=32) == 6 * 6


def test_objects_beside_a_background_of_unknown_size_are_checked() -> None:
    classes = np.zeros((SIDE, SIDE), np.uint8)
    classes[15:18, 15:18] = classes[21:24, 15:18] = 1
    rule = ObjectRule(1, fill_holes=10**6)
    ids = objects_of(classes, rule)
    window = Box((10, 10), (30, 30))
    assert wrong(classes, ids, window, rule, margin=0) == 0
    assert wrong(classes, (ids > 0).astype(np.uint32), window, rule, margin=0) == 18
    ids[15, 15] = 0
    assert wrong(classes, ids, window, rule, margin=0) > 0


def test_the_border_in_a_hole_of_a_small_object_does_not_return_to_another_object() -> None:
    classes = np.zeros((SIDE, SIDE), np.uint8)
    classes[10:13, 5:31] = 1
    classes[11, 6:30] = 0  # a hole of 24 voxels, of an object of 78
    classes[11, 10] = 2
    classes[14:31, 5:31] = 1
    rule = ObjectRule(1, 2, border_width=3, smallest=100, fill_holes=24)
    ids = objects_of(classes, rule)
    assert ids[11, 10] == 0
    assert ids[20, 10] == 1
    window = Box((11, 8), (12, 13))
    for margin in (0, 32):
        assert wrong(classes, ids, window, rule, margin) == 0
    # If the hole is too large, the voxel of the border returns to the object below.
    too_large = ObjectRule(1, 2, border_width=3, smallest=100, fill_holes=5)
    assert objects_of(classes, too_large)[11, 10] == 1
    assert wrong(classes, ids, window, too_large, 32) == 1


@pytest.mark.parametrize(
    ("inside", "ids", "smallest", "is_split", "state"),
    [
        ("000", "000", 0, False, "open"),
        ("000", "770", 0, False, "filled"),
        ("020", "070", 0, False, "open"),  # an id of growth
        ("020", "070", 99, False, "open"),  # the voxels of a filled hole have one id
        ("222", "777", 0, False, "unknown"),  # ids of growth, or of the hole
        ("222", "000", 0, False, "unknown"),
        ("000", "000", 99, False, "unknown"),  # perhaps filled, in an object that is too small
        ("000", "000", 3, False, "open"),  # too large to be in such an object
        ("000", "000", 3, True, "unknown"),  # of which each piece may be too small
        ("020", "070", 3, True, "unknown"),
        ("000", "000", 1, True, "open"),
        ("000", "700", 3, True, "filled"),
    ],
)
def test_ids_show_which_holes_are_filled(
    inside: str, ids: str, smallest: int, is_split: bool, state: str
) -> None:
    classes = np.array([[int(one) for one in f"01{inside}{'0' * 20}10"]])
    all_ids = np.array([[int(one) for one in f"00{ids}{ids[-1] * 20}00"]])
    rule = ObjectRule(
        1, 2, smallest=smallest, split=SplitRule() if is_split else None, fill_holes=30
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(window_classes, "MARGIN", 0)
        part = window_classes.window_classes(
            lambda box: classes[:, box.start[1] : box.stop[1]],
            lambda box: all_ids[:, box.start[1] : box.stop[1]],
            box=Box((0, 0), (1, 5)),
            volume=Box.of_shape(classes.shape),
            rule=rule,
        )
    filled = [1] * 3 if state == "filled" else [int(one) for one in inside]
    assert part.classes.tolist() == [[0, 1, *filled]]
    assert part.is_unknown.tolist() == [[False] * 2 + [state == "unknown"] * 3]


def test_objects_that_a_hole_of_unknown_size_joins_are_accepted() -> None:
    hole = np.zeros((SIDE, SIDE), bool)
    for step in range(10, 30):
        hole[step, step : step + 2] = True
    # The walls touch one another over corners only: without the hole they are many objects.
    classes = ndimage.binary_dilation(hole).astype(np.uint8)
    classes[hole] = 2
    rule, window = ObjectRule(1, 2, fill_holes=40), Box((14, 14), (20, 20))
    ids = objects_of(classes, rule)
    assert ids.max() == 1
    for margin in (0, 1, 32):
        assert wrong(classes, ids, window, rule, margin) == 0
    assert wrong(classes, ids, window, ObjectRule(1, 2), 0) > 0
    assert wrong(classes, ids, window, ObjectRule(1, 2, fill_holes=39), 32) > 0


@pytest.mark.parametrize("seed", [1353, 2087, 2185, 3140])
def test_seeds_near_a_hole_of_unknown_size_are_accepted(seed: int) -> None:
    shape = (24, 90)
    classes, hole = some_balls(shape, seed, 16, 11), some_balls(shape, seed + 7, 14, 5) > 0
    classes[hole] = 2
    classes[hole & (some_balls(shape, seed + 99, 4, 2) > 0)] = 1
    rule = ObjectRule(1, 2, split=SplitRule(radius=2, reach=1, merge=1), fill_holes=10**6)
    assert wrong(classes, objects_of(classes, rule), Box((4, 25), (20, 60)), rule, margin=0) == 0
