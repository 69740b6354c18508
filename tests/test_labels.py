"""Objects of classes, with the voxels that return from the border class."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from bigunet.errors import OptionError
from bigunet.labels import connected, grow, instances_of
from bigunet.training.data.targets import BORDER, CELL, TargetRule, classes_of


def test_values_that_touch_are_different_objects() -> None:
    labels = np.array([[5, 5, 9], [0, 0, 9], [5, 0, 0]])
    assert connected(labels).tolist() == [[1, 1, 3], [0, 0, 3], [2, 0, 0]]


def numbered_by_scipy(labels: np.ndarray, connectivity: int) -> np.ndarray:
    """Components of the lowest value first; of one value, in the order of their first voxel."""
    numbers = np.zeros(labels.shape, np.int32)
    structure = ndimage.generate_binary_structure(labels.ndim, connectivity)
    for value in np.unique(labels[labels != 0]):
        components, _ = ndimage.label(labels == value, structure)
        numbers += np.where(components > 0, components + numbers.max(), 0).astype(np.int32)
    return numbers


@given(
    st.integers(0, 10_000),
    st.sampled_from([(0, 4), (17,), (7, 9), (20, 20), (4, 5, 6), (1, 8, 8)]),
    st.sampled_from(["?", "u1", "i2", "u4", ">i4", "i8", "u8"]),
    st.sampled_from(["C", "F"]),
    st.integers(1, 3),
)
def test_components_have_the_numbers_that_scipy_gives_value_by_value(
    seed: int, shape: tuple[int, ...], dtype: str, order: str, connectivity: int
) -> None:
    rng = np.random.default_rng(seed)
    labels = (rng.integers(0, 4, shape) * (rng.random(shape) < 0.8)).astype(dtype, order=order)
    labels.setflags(write=False)
    connectivity = min(connectivity, labels.ndim)
    numbers = connected(labels, connectivity=connectivity)
    assert numbers.dtype == np.int32
    np.testing.assert_array_equal(numbers, numbered_by_scipy(labels, connectivity))


def test_objects_connect_by_faces_and_small_ones_are_left_out() -> None:
    classes = np.array([[1, 0, 0], [0, 1, 1], [2, 2, 2]])
    assert instances_of(classes, 1).tolist() == [[1, 0, 0], [0, 2, 2], [0, 0, 0]]
    assert instances_of(classes, 1, smallest=2).tolist() == [[0, 0, 0], [0, 2, 2], [0, 0, 0]]
    assert instances_of(classes, 3).tolist() == np.zeros((3, 3)).tolist()


@pytest.mark.parametrize("width", [1, 2])
def test_objects_that_touch_come_back_from_their_classes(width: int) -> None:
    labels = np.zeros((24, 30), np.uint16)
    labels[2:12, 3:14] = 9
    labels[2:12, 14:25] = 4
    labels[12:22, 5:25] = 7
    classes = classes_of(labels, TargetRule("cells", border_width=width))
    objects = instances_of(classes, CELL, border=BORDER, border_width=width)
    inside = labels != 0
    assert len(np.unique(objects[inside])) == 3
    for number in (4, 7, 9):
        values, counts = np.unique(objects[labels == number], return_counts=True)
        assert values[counts.argmax()] != 0
        assert counts.max() > 0.95 * counts.sum()
    without = instances_of(classes, CELL)
    assert (without[inside] == 0).sum() > 5 * (objects[inside] == 0).sum()


@given(
    st.integers(0, 10_000),
    st.sampled_from([(17,), (7, 9), (4, 5, 6)]),
    st.integers(0, 3),
)
def test_each_voxel_goes_to_the_nearest_object(
    seed: int, shape: tuple[int, ...], width: int
) -> None:
    rng = np.random.default_rng(seed)
    objects = rng.integers(1, 6, shape) * (rng.random(shape) < 0.1)
    into = rng.random(shape) < 0.7
    expected = objects.copy()
    for voxel in np.ndindex(*shape):
        if objects[voxel] or not into[voxel]:
            continue
        near = [
            (sum(step**2 for step in steps), objects[other])
            for steps in itertools.product(range(-width, width + 1), repeat=len(shape))
            if all(0 <= v + s < n for v, s, n in zip(voxel, steps, shape))
            and objects[other := tuple(v + s for v, s in zip(voxel, steps))]
        ]
        expected[voxel] = min(near)[1] if near else 0
    np.testing.assert_array_equal(grow(objects, into, width), expected)


@given(st.integers(0, 10_000), st.integers(1, 2))
def test_a_part_with_a_margin_grows_as_the_whole(seed: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    objects = rng.integers(1, 9, (20, 20)) * (rng.random((20, 20)) < 0.1)
    into = rng.random((20, 20)) < 0.8
    part = (slice(4, 15), slice(6, 13))
    wider = tuple(slice(p.start - width, p.stop + width) for p in part)
    grown = grow(objects[wider], into[wider], width)[(slice(width, -width),) * 2]
    np.testing.assert_array_equal(grown, grow(objects, into, width)[part])


@given(st.integers(0, 10_000), st.integers(0, 2), st.integers(1, 2))
def test_frames_grow_as_if_each_were_alone(seed: int, width: int, ndim: int) -> None:
    rng = np.random.default_rng(seed)
    objects = rng.integers(1, 6, (4, 5, 6)) * (rng.random((4, 5, 6)) < 0.1)
    into = rng.random(objects.shape) < 0.7
    grown = grow(objects, into, width, ndim=ndim)
    for frame in np.ndindex(*objects.shape[: 3 - ndim]):
        np.testing.assert_array_equal(grown[frame], grow(objects[frame], into[frame], width))


def test_one_voxel_of_any_value_is_one_object_and_more_than_three_axes_are_refused() -> None:
    for value in (1, 2**63, 2**64 - 1):
        assert connected(np.array([[value]], np.uint64)).tolist() == [[1]]
    assert connected(np.zeros((1, 1), np.uint64)).tolist() == [[0]]
    with pytest.raises(OptionError, match="labels have 4 axes; give 1 to 3"):
        connected(np.zeros((1, 2, 3, 4), int))
    for connectivity in (0, 3):
        with pytest.raises(OptionError, match=f"connectivity {connectivity} for 2 axes; give 1 to"):
            connected(np.zeros((1, 2), int), connectivity=connectivity)
