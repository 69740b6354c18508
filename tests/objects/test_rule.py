"""A rule that fits no objects is refused in one line."""

from __future__ import annotations

from typing import Any

import pytest

from bigunet.errors import OptionError
from bigunet.objects.rule import ObjectRule


@pytest.mark.parametrize(
    ("rule", "match"),
    [
        ({"object_class": -1}, "object_class -1 and border None must be classes, 0 or more"),
        ({"object_class": 1, "border": -2}, "object_class 1 and border -2 must be classes"),
        ({"object_class": 1, "border": 1}, "border 1 is the class of the objects; give another"),
        ({"object_class": 1, "border_width": -1}, "border_width -1 and smallest 0 must be 0 or"),
        ({"object_class": 1, "smallest": -1}, "border_width 1 and smallest -1 must be 0 or more"),
        ({"object_class": 1, "fill_holes": -1}, "fill_holes -1 must be 0 or more voxels"),
        ({"object_class": 1, "ndim": 0}, "objects have 0 axes; give 1 to 3"),
        ({"object_class": 1, "ndim": 4}, "objects have 4 axes; give 1 to 3"),
        ({"object_class": 1, "connectivity": 0}, "connectivity 0 for objects of 2 axes; give 1 to"),
        ({"object_class": 1, "connectivity": 3}, "connectivity 3 for objects of 2 axes; give 1 to"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(rule: dict[str, Any], match: str) -> None:
    with pytest.raises(OptionError, match=match):
        ObjectRule(**rule)


def test_the_plain_rule_joins_over_faces_and_keeps_all_sizes_and_holes() -> None:
    rule = ObjectRule(1)
    assert (rule.border, rule.smallest, rule.connectivity, rule.ndim) == (None, 0, 1, 2)
    assert rule.fill_holes == 0
