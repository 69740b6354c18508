"""Windows of numbered objects: a right one is accepted, a wrong id is seen."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from support.balls import some_balls

import bigunet
from bigunet import SplitRule
from bigunet.geometry import Box
from bigunet.objects.rule import ObjectRule
from bigunet.segmentation.instances.window_check import wrong_ids


def wrong(classes: np.ndarray, ids: np.ndarray, window: Box, rule: ObjectRule) -> int:
    volume = Box.of_shape(classes.shape)

    def part(array: np.ndarray, box: Box) -> np.ndarray:
        return np.asarray(array[box.within(volume)])

    return wrong_ids(
        lambda box: part(classes, box),
        lambda box: part(ids, box),
        window=window,
        volume=volume,
        rule=rule,
    )


@st.composite
def windows(draw: st.DrawFn, side: int) -> Box:
    start = draw(st.tuples(st.integers(0, side - 8), st.integers(0, side - 8)))
    stop = tuple(draw(st.integers(low + 1, side)) for low in start)
    return Box(start, stop)


@given(
    st.integers(0, 999),
    windows(48),
    st.none() | st.builds(SplitRule, radius=st.sampled_from([2, 5]), reach=st.integers(1, 3)),
    st.sampled_from([0, 12]),
    st.booleans(),
)
def test_each_window_of_right_objects_is_accepted(
    seed: int, window: Box, split: SplitRule | None, smallest: int, has_border: bool
) -> None:
    classes = some_balls((48, 48), seed, 16, 8)
    if has_border:
        classes[some_balls((48, 48), seed + 1, 16, 3) > 0] *= 2
    border = 2 if has_border else None
    ids = bigunet.label_objects(classes, border=border, smallest=smallest, split=split)
    rule = ObjectRule(1, border, smallest=smallest, split=split)
    assert wrong(classes, ids, window, rule) == 0


@given(st.integers(0, 999), st.booleans())
def test_an_id_that_goes_on_in_another_object_is_seen(seed: int, is_split: bool) -> None:
    classes = some_balls((48, 48), seed, 12, 8)
    split = SplitRule(radius=5, reach=3) if is_split else None
    ids = bigunet.label_objects(classes, split=split)
    if ids.max() < 3:
        return
    swapped = np.where(ids == 2, 3, ids).astype(ids.dtype)
    inside = Box((0, 0), (48, 48))
    assert wrong(classes, swapped, inside, ObjectRule(1, split=split)) > 0
