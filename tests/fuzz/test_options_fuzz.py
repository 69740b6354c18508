"""Options of every type, as callers may give them, are accepted or refused in one line."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bigunet import SegmentOptions
from bigunet.errors import OptionError

ANYTHING = st.recursive(
    st.sampled_from(
        [None, True, False, 0, 1, -1, 10**400, 1.5, float("nan"), float("inf"), "", "x", "auto",
         "classes", b"x", Path("x"), np.int64(3), np.float32(0.5), object(), int, np.arange(2),
         np.array(3), 1j, slice(3), range(2), {1}]
    )
    | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3)
    | st.lists(inner, max_size=3).map(tuple)
    | st.dictionaries(st.sampled_from(["x", "y", 1, None]), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip
NAMES = [field.name for field in fields(SegmentOptions)]


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(given_=st.dictionaries(st.sampled_from(NAMES), ANYTHING, min_size=1, max_size=3))
def test_options_of_any_type_are_accepted_or_refused_in_one_line(given_: dict[str, Any]) -> None:
    try:
        made = SegmentOptions(**given_)
    except OptionError as error:
        message = str(error)
        assert message
        assert "\n" not in message
        assert len(message) <= 250
    else:
        again = SegmentOptions.from_dict(json.loads(json.dumps(made.to_dict())))
        assert again == made
        hash((made.outputs, made.channels, made.grey_range, made.block_shape))


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("channels", "DAPI", r"channels is 'DAPI': give a tuple of indices or names"),
        ("channels", 0, r"channels is 0: give a tuple"),
        ("channels", (1.0,), r"channels is 1.0: give a whole number"),
        ("block_shape", 512, r"block_shape is 512: give a tuple of whole numbers"),
        ("block_shape", (512.0, 512), r"block_shape is 512.0: give a whole number"),
        ("outputs", "classes", r"outputs is 'classes': give a tuple of names"),
        ("roi", {"x": 5}, r"roi x is 5: give a tuple of whole numbers"),
        ("roi", {"x": (0, 1, 2)}, r"roi x is \(0, 1, 2\): give START and STOP"),
        ("roi", (0, 5), r"roi is \(0, 5\): give a mapping"),
        ("level", None, r"level is None: give a whole number"),
        ("level", True, r"level is True: give a whole number"),
        ("tta", 1, r"tta is 1: give True or False"),
        ("mask", None, r"mask is None: give a path"),
        ("grey_range", (0, 255), r"grey_range is \(0, 255\): give a tuple of pairs, such as"),
        ("grey_range", ((0, 10**400),), r"grey_range is 1000.*…: give finite numbers"),
        ("grey_range", ((-1.7e308, 1.7e308),), r"give two numbers that are less far apart"),
        ("percentiles", ("1", "99"), r"percentiles is '1': give finite numbers"),
        ("memory_limit", "8", r"memory_limit: '8' has no unit: give it, such as 8GB"),
        ("precision", None, r"unknown precision None; known: auto"),
    ],
)
def test_a_value_of_another_kind_is_refused_with_the_right_kind(
    option: str, value: Any, message: str
) -> None:
    with pytest.raises(OptionError, match=message):
        SegmentOptions(**{option: value})


def test_equivalent_values_are_accepted() -> None:
    made = SegmentOptions(
        block_shape=[16, np.int64(32)],  # type: ignore[arg-type]
        channels=[np.int8(1), "DAPI"],  # type: ignore[arg-type]
        roi={"x": [0, 5]},  # type: ignore[dict-item]
        mask=Path("mask.zarr"),  # type: ignore[arg-type]
        percentiles=np.array([1, 99]),  # type: ignore[arg-type]
        grey_range=(),
        memory_limit="8GB",  # type: ignore[arg-type]
    )
    assert made.block_shape == (16, 32)
    assert made.channels == (1, "DAPI")
    assert made.roi == {"x": (0, 5)}
    assert made.memory_limit == 8 * 10**9
    assert made.mask == "mask.zarr"
    assert made.percentiles == (1, 99)
