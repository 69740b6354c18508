"""Laws of the border class: it separates objects, and takes no more than it must."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy import ndimage

from bigunet.training.targets import BACKGROUND, BORDER, OBJECT, classes_of, target_of

INSTANCES = npst.arrays(
    np.int32,
    npst.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=9),
    elements=st.sampled_from([0, 0, 1, 2, 3, 70000]),
)
BLOCKS = INSTANCES.map(lambda small: np.kron(small, np.ones((4,) * small.ndim, np.int32)))


@given(INSTANCES | BLOCKS, st.booleans())
def test_connected_objects_never_join_two_instances(instances: np.ndarray, rim: bool) -> None:
    everywhere = np.ones((3,) * instances.ndim)
    found, count = ndimage.label(classes_of(instances, rim=rim) == OBJECT, everywhere)
    for object_ in range(1, count + 1):
        assert len(np.unique(instances[found == object_])) == 1


@given(INSTANCES | BLOCKS)
def test_objects_lie_inside_instances_and_background_outside(instances: np.ndarray) -> None:
    classes = classes_of(instances)
    assert (instances[classes == OBJECT] > 0).all()
    assert (instances[classes == BACKGROUND] == 0).all()


def test_an_instance_that_stands_alone_keeps_all_its_voxels() -> None:
    instances = np.zeros((12, 12), np.int32)
    instances[3:7, 4:9] = 5
    classes = classes_of(instances)
    np.testing.assert_array_equal(classes == OBJECT, instances == 5)
    assert (classes == BORDER).sum() == 6 * 7 - 4 * 5
    assert (classes_of(instances, rim=False) != BORDER).all()


def test_touching_instances_lose_one_voxel_each() -> None:
    instances = np.zeros((3, 10), np.int32)
    instances[:, 1:5], instances[:, 5:9] = 1, 2
    expected = [BORDER, OBJECT, OBJECT, OBJECT, BORDER, BORDER, OBJECT, OBJECT, OBJECT, BORDER]
    np.testing.assert_array_equal(classes_of(instances)[1], expected)


@given(INSTANCES)
def test_classes_do_not_depend_on_the_numbers_of_instances(instances: np.ndarray) -> None:
    renumbered = np.where(instances > 0, 70001 - instances, 0).astype(np.int32)
    np.testing.assert_array_equal(classes_of(instances), classes_of(renumbered))


def test_borders_between_objects_weigh_most() -> None:
    instances = np.zeros((3, 12), np.int32)
    instances[:, 1:5], instances[:, 5:9] = 1, 2
    target = target_of(instances, border_weight=2.0, meeting_weight=3.0)
    expected = [2, 1, 1, 3, 6, 6, 3, 1, 1, 2, 1, 1]
    np.testing.assert_array_equal(target.weights[1], expected)
    np.testing.assert_array_equal(target.classes, classes_of(instances))
