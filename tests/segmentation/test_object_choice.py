"""Laws of the choice of objects: what the model file says holds, unless options say otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigunet import ModelDescription, ObjectDescription, SegmentOptions
from bigunet.errors import OptionError
from bigunet.model.description import SegmentationClass
from bigunet.objects.rule import ObjectRule
from bigunet.segmentation.plan.object_choice import choose_objects, choose_outputs

NAMES = ("background", "cell", "border")
OBJECTS = ObjectDescription("cell", "border", border_width=2, smallest=12)
WORDS = st.sampled_from(["", "none", "0", "1", "2", "cell", "border"])


def described(
    objects: ObjectDescription | None = OBJECTS, names: Sequence[str] = NAMES
) -> ModelDescription:
    classes = tuple(SegmentationClass(name, "#000000") for name in names)
    return ModelDescription("m", {"name": "unet"}, classes, ("0",), objects=objects)


def rule_of(
    description: ModelDescription,
    *,
    ndim: int = 2,
    um: Sequence[float] | None = None,
    **options: Any,
) -> ObjectRule | None:
    chosen = SegmentOptions(outputs=("classes", "instances"), **options)
    return choose_objects(description, chosen, ndim=ndim, voxel_size_um=um)


@given(
    names=st.lists(WORDS, min_size=3, max_size=5, unique=True),
    has_border=st.booleans(),
    width=st.integers(1, 9),
    smallest=st.integers(0, 99),
)
def test_the_objects_of_a_model_need_no_option_whatever_its_classes_are_called(
    names: list[str], has_border: bool, width: int, smallest: int
) -> None:
    objects = ObjectDescription(names[1], names[2] if has_border else None, width, smallest)
    rule = rule_of(described(objects, names))
    assert rule == ObjectRule(1, 2 if has_border else None, width, smallest)


def test_instances_are_written_by_default_where_the_model_or_the_user_says_what_objects_are() -> (
    None
):
    both, classes = ("classes", "instances"), ("classes",)
    assert choose_outputs(described(), SegmentOptions()) == both
    assert choose_outputs(described(None), SegmentOptions()) == classes
    named = SegmentOptions(object_class="cell")
    assert choose_outputs(described(None), named) == both


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"border_class": "none"}, ObjectRule(1, None, 2, 12)),
        ({"border_width": 5}, ObjectRule(1, 2, 5, 12)),
        ({"object_class": "1"}, ObjectRule(1, 2, 2, 12)),
        ({"object_class": "border"}, ObjectRule(2, None, 1, 0)),  # what is said is of cells only
        ({"connectivity": "corners"}, ObjectRule(1, 2, 2, 12, connectivity=2)),
        ({"smallest": "0"}, ObjectRule(1, 2, 2, 0)),
        ({"smallest": "3um2", "um": (0.5, 0.5)}, ObjectRule(1, 2, 2, 12)),
        ({"smallest": "3.1µm²", "um": (0.5, 0.5)}, ObjectRule(1, 2, 2, 13)),
        ({"fill_holes": "7"}, ObjectRule(1, 2, 2, 12, fill_holes=7)),
        ({"fill_holes": "3.2um2", "um": (0.5, 0.5)}, ObjectRule(1, 2, 2, 12, fill_holes=12)),
        ({"smallest": "3um3", "um": (2, 0.5, 0.5), "ndim": 3}, ObjectRule(1, 2, 2, 6, ndim=3)),
    ],
)
def test_options_change_what_the_model_says(options: dict[str, Any], rule: ObjectRule) -> None:
    assert rule_of(described(), **options) == rule


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"smallest": "30um2"}, r"30um2 is in µm².* does not state .*: give the size in voxels"),
        ({"smallest": "30um2", "um": (1, 1, 1), "ndim": 3}, r"give it in µm³ \(500um3\) or in"),
        ({"smallest": "500um3", "um": (1, 1)}, r"give it in µm² \(30um2\) or in voxels"),
        ({"fill_holes": "30um2"}, r"30um2 is in µm².* does not state .*: give the size in voxels"),
        ({"object_class": "axon"}, "no class 'axon'; its classes are 0 background, 1 cell, 2"),
        ({"border_class": "7"}, "no class '7'; its classes are 0 background, 1 cell, 2 border"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message) as caught:
        rule_of(described(), **options)
    assert "\n" not in str(caught.value)


def test_holes_are_filled_in_objects_only() -> None:
    options = SegmentOptions(outputs=("classes",), fill_holes="30um2")
    with pytest.raises(OptionError, match="fill holes 30um2: no objects are written; give --out"):
        choose_objects(described(), options, ndim=2, voxel_size_um=None)


def test_a_model_that_says_nothing_needs_a_class() -> None:
    with pytest.raises(OptionError, match="give --object-class, one of 0 background, 1 cell, 2"):
        rule_of(described(None))
    assert rule_of(described(None), object_class="cell", smallest="7") == ObjectRule(1, smallest=7)


@pytest.mark.parametrize("option", ["object_class", "border_class"])
def test_a_name_of_two_classes_is_refused_with_their_numbers(option: str) -> None:
    two = described(None, ["background", "cell", "axon", "axon"])
    named: dict[str, Any] = {"object_class": "cell", option: "axon"}
    with pytest.raises(OptionError, match="2 classes named 'axon': give a number of 0 backgr"):
        rule_of(two, **named)
    assert rule_of(two, object_class="cell", border_class="3") == ObjectRule(1, border=3)
