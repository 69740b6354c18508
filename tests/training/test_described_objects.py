"""What training writes into a model file about objects is what its validation scores."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from support.training_images import OPTIONS, write_folders

from bigunet import Recipe, label_objects
from bigunet.errors import OptionError
from bigunet.model.object_description import ObjectDescription
from bigunet.options.choices import TargetKind
from bigunet.training.data.targets import TargetRule
from bigunet.training.data.training_set import open_training_set
from bigunet.training.validate import SMALLEST_OBJECT, described_objects, objects_of

NAMES = ("background", "nucleus", "gap")
# Each class fills squares, so that objects are of many sizes, and borders of many widths.
SQUARES = st.builds(
    lambda classes, side: classes.repeat(side, -1).repeat(side, -2),
    arrays(np.uint8, array_shapes(min_dims=2, max_dims=3, max_side=6), elements=st.integers(0, 2)),
    st.integers(1, 5),
)


@settings(deadline=None)
@given(classes=SQUARES, width=st.integers(0, 3))
def test_segmenting_by_the_description_gives_the_objects_of_the_validation(
    classes: np.ndarray, width: int
) -> None:
    rule = TargetRule("cells", border_width=width)
    objects = described_objects(rule, NAMES)
    assert objects is not None
    numbered = label_objects(
        classes,
        object_class=NAMES.index(objects.object_class),
        border=NAMES.index(objects.border) if objects.border else None,
        border_width=objects.border_width,
        smallest=objects.smallest,
    )
    _, dense = np.unique(np.append(objects_of(classes, rule), 0), return_inverse=True)
    np.testing.assert_array_equal(numbered, dense[:-1].reshape(classes.shape))


def test_the_border_is_the_third_class_where_there_is_one() -> None:
    bordered = ObjectDescription("nucleus", "gap", 2, SMALLEST_OBJECT)
    assert described_objects(TargetRule("cells", border_width=2), NAMES) == bordered
    plain = ObjectDescription("nucleus", smallest=SMALLEST_OBJECT)
    assert described_objects(TargetRule("cells", border_width=0), NAMES[:2]) == plain


@pytest.mark.parametrize("kind", ["classes", "boundaries"])
def test_other_targets_have_no_objects(kind: TargetKind) -> None:
    rule = TargetRule(kind, (0, 5) if kind == "classes" else ())
    assert described_objects(rule, ("boundary", "interior")) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_names": ("a", "b", "b")}, "class name 'b' comes twice; give each class its own"),
        ({"border_width": 1001}, "border_width is 1001; give 0 to 1000 voxels"),
    ],
)
def test_what_a_model_file_could_not_say_is_refused_before_training(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    write_folders(tmp_path)
    options = replace(OPTIONS, **changes)
    with pytest.raises(OptionError, match=f"^{message}$"):
        open_training_set(tmp_path / "images", tmp_path / "labels", options, Recipe())
