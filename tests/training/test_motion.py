"""Laws of motions: image, labels and weights move alike, and as far as they should."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from bigunet.errors import TrainingError
from bigunet.geometry import Box
from bigunet.training.data.interpolation import AFTER, BEFORE, interpolate
from bigunet.training.data.motion import Motion, affine_positions, elastic_displacement

ORDERS = st.sampled_from([1, 3])
SEEDS = st.integers(0, 2**32)
ANY_TIME = settings(deadline=None)  # torch waits for its threads on a busy machine


@dataclass(frozen=True)
class Field:
    """An infinite image; the value of a voxel encodes its position."""

    seed: int = 0

    def read(self, box: Box) -> np.ndarray:
        steps = np.meshgrid(*(np.arange(a, b) for a, b in zip(box.start, box.stop)), indexing="ij")
        mixed = sum((s + self.seed) * (7919 + 104729 * k) for k, s in enumerate(steps))
        return np.asarray(mixed % 251, np.float32)


@st.composite
def boxes(draw: st.DrawFn, ndim: int, max_side: int = 8) -> Box:
    start = draw(st.tuples(*(st.integers(-20, 20),) * ndim))
    shape = draw(st.tuples(*(st.integers(1, max_side),) * ndim))
    return Box(start, tuple(a + n for a, n in zip(start, shape)))


def kernel(t: np.ndarray) -> np.ndarray:
    """The cubic convolution of Keys with a = -3/4, as in the paper."""
    a, s = -0.75, np.abs(t)
    near = (a + 2) * s**3 - (a + 3) * s**2 + 1
    far = a * s**3 - 5 * a * s**2 + 8 * a * s - 4 * a
    return np.where(s <= 1, near, np.where(s < 2, far, 0))


def tent(t: np.ndarray) -> np.ndarray:
    return np.maximum(0, 1 - np.abs(t))


@given(SEEDS, ORDERS, st.sampled_from([(6, 7), (5, 6, 7)]), st.integers(1, 3))
@ANY_TIME
def test_interpolation_is_the_sum_over_voxels_of_value_by_kernel(
    seed: int, order: Any, shape: tuple[int, ...], channels: int
) -> None:
    rng = np.random.default_rng(seed)
    voxels = rng.random((channels, *shape), np.float32)
    patch = (4, 2, 3)[: len(shape)]
    reached = [n - 1 - BEFORE - AFTER for n in shape]
    where = np.stack([BEFORE + rng.uniform(0, n, patch) for n in reached]).astype(np.float32)
    weights = [
        (kernel if order == 3 else tent)(np.arange(n) - position[..., np.newaxis])
        for n, position in zip(shape, where)
    ]
    space, moved = "xyz"[: len(shape)], "ijk"[: len(shape)]
    sums = ",".join(moved + letter for letter in space)
    expected = np.einsum(f"c{space},{sums}->c{moved}", voxels, *weights)
    np.testing.assert_allclose(interpolate(voxels, where, order), expected, atol=2e-5)


@given(boxes(3))
@ANY_TIME
def test_a_patch_at_rest_is_the_crop(box: Box) -> None:
    motion = Motion.still(box)
    voxels = Field().read(motion.source)
    assert motion.source == box
    for patch in (motion.image(voxels[np.newaxis])[0], motion.labels(voxels)):
        np.testing.assert_array_equal(patch, voxels)
    np.testing.assert_array_equal(motion.weights(voxels), voxels)


@given(st.integers(2, 3).flatmap(boxes), ORDERS, st.data())
@ANY_TIME
def test_positions_of_whole_voxels_give_these_voxels(
    box: Box, order: Any, data: st.DataObject
) -> None:
    by = data.draw(st.tuples(*(st.integers(-9, 9),) * box.ndim))
    motion = Motion.along(box, affine_positions(box.shape, np.eye(box.ndim), by), order=order)
    voxels, expected = Field().read(motion.source), Field().read(box.shift(by))
    np.testing.assert_array_equal(motion.labels(voxels), expected)
    np.testing.assert_allclose(motion.image(voxels[np.newaxis])[0], expected, atol=0.02)
    np.testing.assert_allclose(motion.weights(voxels), expected, atol=0.02)


@given(boxes(1), ORDERS, st.integers(0, 3), st.sampled_from([0, 1]))
@ANY_TIME
def test_a_matrix_turns_as_numpy_does(box: Box, order: Any, turns: int, leading: int) -> None:
    """Turns by 90 degrees in the plane of the last two axes, with and without a leading axis."""
    square = Box((4,) * leading + box.start * 2, (5,) * leading + box.stop * 2)
    matrix = np.linalg.matrix_power(np.array([[0.0, 1.0], [-1.0, 0.0]]), turns)
    where = affine_positions(square.shape[leading:], matrix, (0, 0))
    motion = Motion.along(square, where, order=order)
    voxels, crop = Field().read(motion.source), Field().read(square)
    expected = np.rot90(crop, turns, axes=(-2, -1))
    np.testing.assert_array_equal(motion.labels(voxels), expected)
    np.testing.assert_allclose(motion.image(voxels[np.newaxis])[0], expected, atol=0.02)


@given(boxes(3), ORDERS, SEEDS, st.booleans())
@ANY_TIME
def test_a_turn_transposes_and_mirrors_whatever_moved(
    box: Box, order: Any, seed: int, moves: bool
) -> None:
    rng = np.random.default_rng(seed)
    cube = Box(box.start, tuple(a + box.shape[0] for a in box.start))
    motion = Motion.still(cube)
    if moves:
        displaced = rng.normal(0, 2, (3, *cube.shape))
        where = affine_positions(cube.shape, np.eye(3), (0, 0, 0)) + displaced
        motion = Motion.along(cube, where, order=order)
    axes = [int(axis) for axis in rng.permutation([-3, -2, -1])]
    mirrored = [axis for axis in (-3, -2, -1) if rng.random() < 0.5]
    turned = motion.turned(axes, mirrored)
    voxels = Field().read(motion.source)
    assert turned.source == motion.source
    for patch, before in [
        (turned.labels(voxels), motion.labels(voxels)),
        (turned.image(voxels[np.newaxis])[0], motion.image(voxels[np.newaxis])[0]),
        (turned.weights(voxels), motion.weights(voxels)),
    ]:
        np.testing.assert_allclose(patch, np.flip(before.transpose(axes), mirrored), atol=1e-3)


@given(
    st.integers(2, 3).flatmap(lambda n: boxes(n, 6)),
    SEEDS,
    st.integers(0, 2),
    st.sampled_from([0.0, 4.0]),
    st.sampled_from([-1e-8, 0.0, 1e-8]),  # close to whole numbers, which float32 rounds to
)
@ANY_TIME
def test_the_source_box_contains_all_that_a_patch_needs(
    box: Box, seed: int, leading: int, moves: float, nudge: float
) -> None:
    """A larger source box changes nothing."""
    rng = np.random.default_rng(seed)
    full = Box((3,) * leading + box.start, (4,) * leading + box.stop)
    where = affine_positions(box.shape, np.eye(box.ndim), (0,) * box.ndim)
    where = where + rng.normal(0, moves, where.shape) + nudge
    for order in (1, 3):
        motion = Motion.along(full, where, order=order)
        voxels = Field().read(motion.source)
        assert motion.source.shape[:leading] == (1,) * leading
        image = motion.image(voxels[np.newaxis])
        assert image.shape == (1, *full.shape)
        around = np.pad(voxels, [(0, 0)] * leading + [(30, 30)] * box.ndim, "reflect")
        larger = np.asarray(motion.where) + 30
        wide = interpolate(around.reshape(1, *around.shape[leading:]), larger, order)
        np.testing.assert_allclose(image.reshape(wide.shape), wide, atol=0.1)


@given(SEEDS, st.sampled_from([(9, 8), (7, 9, 8)]))
@ANY_TIME
def test_each_label_is_at_most_half_a_voxel_away(seed: int, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(seed)
    box, ndim = Box.of_shape(shape), len(shape)
    where = affine_positions(shape, rng.normal(size=(ndim, ndim)), rng.normal(size=ndim))
    motion = Motion.along(box, where)
    places = np.arange(motion.source.size).reshape(motion.source.shape)
    voxels = np.stack(np.unravel_index(motion.labels(places), places.shape))
    start = np.array(motion.source.start).reshape(-1, *(1,) * ndim)
    assert np.abs(voxels + start - where).max() <= 0.5 + 1e-4


@given(boxes(2), SEEDS, ORDERS)
@ANY_TIME
def test_labels_are_never_new_and_weights_between_their_neighbours(
    box: Box, seed: int, order: Any
) -> None:
    rng = np.random.default_rng(seed)
    where = affine_positions(box.shape, rng.normal(size=(2, 2)), (0, 0))
    motion = Motion.along(box, where, order=order)
    ids = rng.choice([0, 5, 70_000, 2**40], motion.source.shape)
    assert set(motion.labels(ids).flat) <= set(ids.flat)
    assert motion.labels(ids).dtype == ids.dtype
    weights = rng.exponential(size=motion.source.shape).astype(np.float32)
    weights.setflags(write=False)  # as a memory-mapped file is
    moved = motion.weights(weights)
    assert moved.dtype == np.float32
    assert weights.min() - 1e-6 <= moved.min() <= moved.max() <= weights.max() + 1e-6


@given(SEEDS, st.booleans(), st.integers(0, 2))
@ANY_TIME
def test_the_inner_part_is_that_of_the_whole_patch(seed: int, moves: bool, leading: int) -> None:
    rng = np.random.default_rng(seed)
    box = Box((0,) * (leading + 2), (1,) * leading + (12, 12))
    motion = Motion.still(box)
    if moves:
        where = affine_positions((12, 12), rng.normal(size=(2, 2)), (3, 4))
        motion = Motion.along(box, where)
    motion = motion.turned((-1, -2), [-1] if rng.random() < 0.5 else [])
    inner = (slice(2, 9), slice(5, 10))
    voxels = Field().read(motion.source)
    for whole, part in [
        (motion.labels(voxels), motion.labels(voxels, inner)),
        (motion.weights(voxels), motion.weights(voxels, inner)),
    ]:
        assert whole.shape == box.shape
        assert part.shape == (1,) * leading + (7, 5)
        np.testing.assert_allclose(part, whole[(..., *inner)], atol=1e-4)


@pytest.mark.parametrize("shape", [(60, 60), (30, 30, 30)])
@pytest.mark.parametrize("order", [1, 3])
def test_labels_warped_as_an_image_keep_their_shapes(shape: tuple[int, ...], order: Any) -> None:
    """Away from edges, half of a disc's grey value separates inside and outside, as labels do."""
    rng = np.random.default_rng(0)
    ndim = len(shape)
    points = rng.normal(0, 2, (ndim, *(3,) * ndim))
    where = affine_positions(shape, np.eye(ndim) * 0.9, (0.3,) * ndim)
    where += elastic_displacement(shape, points)
    motion = Motion.along(Box.of_shape(shape), where, order=order)
    steps = np.meshgrid(*map(np.arange, motion.source.shape), indexing="ij")
    middle = np.array(motion.source.shape) / 2
    ball = (sum((s - m) ** 2 for s, m in zip(steps, middle)) < (shape[0] / 4) ** 2).astype(int)
    labels = motion.labels(ball)
    grey = motion.image(ball[np.newaxis].astype(np.float32))[0]
    weights = motion.weights(ball.astype(np.float32))
    inside = labels > 0
    edge = ndimage.maximum_filter(labels, 9) > ndimage.minimum_filter(labels, 9)
    assert inside.sum() > 100
    for moved in (grey, weights):
        np.testing.assert_allclose(moved[~edge], inside[~edge], atol=1e-4)


@pytest.mark.parametrize("shape", [(41, 21), (9, 13, 21)])
@pytest.mark.parametrize("count", [2, 3, 5])
def test_elastic_displacement_passes_through_its_vectors(
    shape: tuple[int, ...], count: int
) -> None:
    points = np.random.default_rng(0).normal(0, 10, (len(shape), *(count,) * len(shape)))
    displacement = elastic_displacement(shape, points)
    assert displacement.shape == (len(shape), *shape)
    places = np.ix_(range(len(shape)), *(np.arange(0, n, (n - 1) // (count - 1)) for n in shape))
    np.testing.assert_allclose(displacement[places], points, atol=1e-4)


def test_vectors_that_grow_evenly_displace_evenly() -> None:
    y, x = np.meshgrid(np.arange(3), np.arange(3), indexing="ij")
    displacement = elastic_displacement((9, 17), np.stack([y, x - y]).astype(float))
    y, x = np.meshgrid(np.linspace(0, 2, 9), np.linspace(0, 2, 17), indexing="ij")
    np.testing.assert_allclose(displacement, [y, x - y], atol=1e-5)


def test_elastic_displacement_is_smooth() -> None:
    points = np.random.default_rng(0).normal(0, 10, (2, 3, 3))
    displacement = elastic_displacement((201, 201), points)
    for axis in (1, 2):
        bends = np.abs(np.diff(displacement, 2, axis=axis))
        assert bends.max() < 0.02
        # This holds also where the pieces of the spline meet.
        assert np.abs(np.diff(displacement, 3, axis=axis)).max() < 0.001


@pytest.mark.parametrize("shape", [(9, 9), (9,), (3, 4, 5)])
def test_positions_that_do_not_fit_the_box_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(TrainingError, match="do not move a patch"):
        Motion.along(Box((0, 0, 0), (2, 9, 9)), np.zeros((len(shape), *shape)))


def test_only_axes_of_equal_length_change_places() -> None:
    with pytest.raises(TrainingError, match=r"shape \(3, 4\) cannot take the axes \(-1, -2\)"):
        Motion.still(Box((0, 0), (3, 4))).turned((-1, -2), ())
