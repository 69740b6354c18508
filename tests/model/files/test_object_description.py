"""Laws of what a model file says of objects: it comes back, and names classes of the model."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigunet.errors import ModelError
from bigunet.model.description import ModelDescription, SegmentationClass
from bigunet.model.object_description import ObjectDescription

NAMES = ("background", "cell", "border")
UNKNOWN = st.text().filter(lambda name: name not in NAMES[1:])
OBJECTS = st.builds(
    ObjectDescription,
    object_class=st.just("cell"),
    border=st.none() | st.just("border"),
    border_width=st.integers(1, 1000),
    smallest=st.integers(0, 2**62),
)


def described(
    objects: ObjectDescription | None, names: tuple[str, ...] = NAMES
) -> ModelDescription:
    classes = tuple(SegmentationClass(name, "#000000") for name in names)
    return ModelDescription("m", {"name": "unet"}, classes, ("0",), objects=objects)


@given(st.none() | OBJECTS)
def test_objects_survive_json(objects: ObjectDescription | None) -> None:
    again = json.loads(json.dumps(described(objects).to_dict()))
    assert ModelDescription.from_dict(again) == described(objects)


def test_a_model_without_objects_writes_no_word_about_them() -> None:
    content = described(None).to_dict()
    assert "objects" not in content
    assert ModelDescription.from_dict(content).objects is None
    assert ModelDescription.from_dict(content | {"objects": None}).objects is None


def test_only_the_class_is_needed() -> None:
    content = described(None).to_dict() | {"objects": {"object_class": "cell"}}
    assert ModelDescription.from_dict(content).objects == ObjectDescription("cell", None, 1, 0)


@given(UNKNOWN, st.booleans())
def test_objects_and_border_are_classes_after_the_background(name: str, of_border: bool) -> None:
    objects = ObjectDescription("cell", border=name) if of_border else ObjectDescription(name)
    with pytest.raises(ModelError, match=r"^objects name class .*; the classes after .*'border'$"):
        described(objects)


@pytest.mark.parametrize(
    "names", [("cell", "cell", "border"), ("a", "cell", "cell"), ("border", "cell", "border")]
)
def test_a_name_of_two_classes_does_not_say_which_one_is_objects(names: tuple[str, ...]) -> None:
    with pytest.raises(ModelError, match="2 classes have this name; give each class its own"):
        described(ObjectDescription("cell", border="border" if "border" in names else None), names)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"object_class": 1}, "object_class is 1; give a class's name"),
        ({"object_class": None}, "object_class is None; give a class's name"),
        ({"border": 2}, "border is 2; give a class's name, or none"),
        ({"border": "cell"}, "objects and border are both 'cell'; give two classes"),
        ({"border_width": 0}, "border_width is 0; give 1 to 1000 voxels"),
        ({"border_width": 1001}, "border_width is 1001; give 1 to 1000 voxels"),
        ({"border_width": True}, "border_width is True; give 1 to 1000 voxels"),
        ({"smallest": -1}, "smallest is -1; give 0 or more voxels"),
        ({"smallest": 1.0}, r"smallest is 1\.0; give 0 or more voxels"),
        ({"smallest": 2**63}, "smallest is 9223372036854775808; give 0 or more voxels"),
    ],
)
def test_other_values_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=f"^{message}$"):
        ObjectDescription(**({"object_class": "cell"} | fields))


@pytest.mark.parametrize(
    "data", [None, [], "cell", {}, {"smallest": 3}, {"object_class": "a", "b": 1}]
)
def test_data_of_another_kind_are_damaged(data: object) -> None:
    with pytest.raises(ModelError, match="description is damaged: objects"):
        ObjectDescription.from_dict(data)
