"""Laws of augmentation: what it draws, from which generator, and within which limits."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bigunet.errors import TrainingError
from bigunet.geometry import Box
from bigunet.training.data.augment import NO_AUGMENTATION, Augmentation, draw_motion, vary_greys
from bigunet.training.data.motion import Motion

SEEDS = st.integers(0, 2**32)
ANY_TIME = settings(deadline=None)  # torch waits for its threads on a busy machine
STIFF = replace(
    NO_AUGMENTATION,
    warp_share=1.0,
    rotation=False,
    scale=(1.0, 1.0),
    shift_voxels=0.0,
    elastic_voxels=0.0,
)
PLANE, CUBE = Box((5, -3), (26, 18)), Box((0, 2, -4), (9, 11, 5))


def drawn(augmentation: Augmentation, seed: int, box: Box = PLANE, **numbers: Any) -> Motion:
    arguments = {"warped_ndim": box.ndim, "spacing": (1.0,) * box.ndim, **numbers}
    return draw_motion(box, augmentation, np.random.default_rng(seed), **arguments)


def positions(motion: Motion, spacing: Any = 1.0) -> np.ndarray:
    """Position of each voxel of the patch in space, measured from voxel 0 of the image."""
    assert motion.where is not None
    ndim = len(motion.where)
    along = (ndim, *(1,) * ndim)
    start = np.array(motion.source.start[-ndim:]).reshape(along)
    unit = np.broadcast_to(np.asarray(spacing, float), ndim).reshape(along)
    return (motion.where.astype(float) + start) * unit


def steps(where: np.ndarray, axis: int) -> np.ndarray:
    """Steps from voxel to voxel along an axis of the patch, one row each."""
    return np.diff(where, axis=axis + 1).reshape(len(where), -1).T


@given(SEEDS, st.sampled_from([PLANE, CUBE]))
@ANY_TIME
def test_one_state_of_the_generator_draws_one_motion(seed: int, box: Box) -> None:
    first, again = (drawn(Augmentation(), seed, box) for _ in range(2))
    assert first.source == again.source
    voxels = np.random.default_rng(1).random((1, *first.source.shape), np.float32)
    np.testing.assert_array_equal(first.image(voxels), again.image(voxels))


@given(SEEDS, st.sampled_from([NO_AUGMENTATION, STIFF]))
@ANY_TIME
def test_without_variation_a_patch_is_its_crop(seed: int, augmentation: Augmentation) -> None:
    motion = drawn(augmentation, seed)
    voxels = np.random.default_rng(1).random((1, *PLANE.shape), np.float32)
    assert motion.source == PLANE
    np.testing.assert_array_equal(motion.image(voxels), voxels)


@pytest.mark.parametrize(
    ("shape", "spacing", "count"),
    [
        ((3, 3), (1, 1), 8),
        ((3, 4), (1, 1), 4),
        ((3, 3), (2, 1), 4),
        ((3, 3, 3), (1, 1, 1), 48),
        ((3, 3, 3), (4, 1, 1), 16),
        ((3, 3, 3), (1, 4, 1), 16),  # equal axes need not be neighbours
        ((2, 3, 3), (1, 1, 1), 16),
    ],
)
def test_flips_give_all_orientations_that_the_grid_allows(
    shape: tuple[int, ...], spacing: tuple[float, ...], count: int
) -> None:
    flips = replace(NO_AUGMENTATION, flips=True)
    voxels = np.arange(np.prod(shape)).reshape(shape)
    rng, orientations = np.random.default_rng(0), set()
    for _ in range(30 * count):
        motion = draw_motion(
            Box.of_shape(shape), flips, rng, warped_ndim=len(shape), spacing=spacing
        )
        orientations.add(motion.labels(voxels).tobytes())
    assert len(orientations) == count


@given(SEEDS)
@ANY_TIME
def test_axes_that_the_network_does_not_see_stay(seed: int) -> None:
    box = Box((7, 3, 0, 0), (8, 4, 9, 9))
    motion = drawn(Augmentation(warp_share=1.0), seed, box, warped_ndim=2)
    assert (motion.source.start[:2], motion.source.stop[:2]) == ((7, 3), (8, 4))
    image = motion.image(np.zeros((2, *motion.source.shape), np.float32))
    assert image.shape == (2, *box.shape)


@given(SEEDS, st.sampled_from([(1, 1), (3, 1), (1, 1, 1), (4, 1, 1), (1, 2, 3)]))
@ANY_TIME
def test_rotation_keeps_lengths_in_space(seed: int, spacing: tuple[float, ...]) -> None:
    box = Box((2,) * len(spacing), (9,) * len(spacing))
    motion = drawn(replace(STIFF, rotation=True), seed, box, spacing=spacing)
    where = positions(motion, spacing)
    for axis, unit in enumerate(spacing):
        np.testing.assert_allclose(np.linalg.norm(steps(where, axis), axis=1), unit, atol=1e-4)
    middle = where[(slice(None), *(3,) * len(spacing))]
    np.testing.assert_allclose(middle, 5 * np.array(spacing), atol=1e-4)
    if len(set(spacing[-3:])) > 1 and len(spacing) == 3:
        np.testing.assert_allclose(steps(where, 0)[:, 1:], 0, atol=1e-4)


def test_turns_of_a_cube_leave_no_direction_out_and_mirror_none() -> None:
    turned = []
    for seed in range(400):
        where = positions(drawn(replace(STIFF, rotation=True), seed, CUBE))
        axes = [steps(where, axis)[0] for axis in range(3)]
        assert np.linalg.det(axes) > 0
        turned.append(axes[0])
    np.testing.assert_allclose(np.mean(turned, axis=0), 0, atol=0.1)
    np.testing.assert_allclose(np.cov(np.array(turned).T), np.eye(3) / 3, atol=0.07)


@given(SEEDS)
@ANY_TIME
def test_magnification_stays_within_its_limits(seed: int) -> None:
    motion = drawn(replace(STIFF, scale=(0.5, 2.0)), seed)
    sizes = 1 / np.linalg.norm(steps(positions(motion), 1), axis=1)
    assert np.ptp(sizes) < 1e-3
    assert 0.5 - 1e-4 <= sizes.min() <= sizes.max() <= 2.0 + 1e-3


@given(SEEDS)
@ANY_TIME
def test_shifts_stay_within_their_limit_and_are_one_for_all_voxels(seed: int) -> None:
    shifted = positions(drawn(replace(STIFF, shift_voxels=0.5), seed))
    there = np.stack(np.meshgrid(np.arange(5, 26), np.arange(-3, 18), indexing="ij"))
    by = (shifted - there).reshape(2, -1)
    assert np.abs(by).max() <= 0.5 + 1e-5
    assert np.ptp(by, axis=1).max() < 1e-4


@pytest.mark.parametrize("spacing", [(1, 1), (4, 1), (0.2, 0.1)])
def test_elastic_vectors_have_the_given_standard_deviation(spacing: tuple[float, ...]) -> None:
    bent = replace(STIFF, elastic_voxels=3.0)
    corners = []
    for seed in range(300):
        where = positions(drawn(bent, seed, spacing=spacing), spacing)
        corners.append(where[:, 0, 0] - np.array(PLANE.start) * spacing)
    np.testing.assert_allclose(np.std(corners, axis=0) / min(spacing), 3.0, rtol=0.15)
    np.testing.assert_allclose(np.mean(corners, axis=0) / min(spacing), 0.0, atol=0.6)


def test_the_given_share_of_patches_is_warped() -> None:
    half = replace(Augmentation(), warp_share=0.5)
    warped = [drawn(half, seed, Box((0, 0), (4, 4))).where is not None for seed in range(400)]
    assert 0.4 < np.mean(warped) < 0.6


def test_the_given_order_of_interpolation_is_used() -> None:
    for order in (1, 3):
        motion = drawn(Augmentation(warp_share=1.0, interpolation_order=order), 0)
        assert motion.order == order


@pytest.mark.parametrize(
    "numbers", [{"spacing": (1.0,)}, {"warped_ndim": 3}, {"spacing": (1.0, 0.0)}]
)
def test_axes_that_do_not_fit_the_box_are_refused(numbers: dict[str, Any]) -> None:
    with pytest.raises(TrainingError, match="cannot move along"):
        drawn(Augmentation(), 0, **numbers)


def test_no_augmentation_leaves_greys_alone() -> None:
    image = np.random.default_rng(0).random((1, 8, 8), np.float32)
    same = vary_greys(image, NO_AUGMENTATION, np.random.default_rng(0))
    np.testing.assert_array_equal(same, image)


@given(SEEDS, st.sampled_from([(2, 8, 8), (1, 4, 5, 6)]))
@ANY_TIME
def test_varied_greys_stay_finite_and_the_given_image_as_it_is(
    seed: int, shape: tuple[int, ...]
) -> None:
    image = np.linspace(-0.5, 3, int(np.prod(shape)), dtype=np.float32).reshape(shape)
    before = image.copy()
    changed = vary_greys(image, Augmentation(grey_share=1.0), np.random.default_rng(seed))
    assert (changed.shape, changed.dtype) == (image.shape, np.float32)
    assert np.isfinite(changed).all()
    assert not np.array_equal(changed, image)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ({"gain": (2.0, 2.0)}, [-1.0, 0.0, 0.5, 4.0]),
        ({"gamma": (2.0, 2.0)}, [-0.25, 0.0, 0.0625, 4.0]),
    ],
)
def test_greys_are_multiplied_and_raised_to_a_power(
    numbers: dict[str, Any], expected: list[float]
) -> None:
    still = {"gain": (1.0, 1.0), "gamma": (1.0, 1.0), "offset": 0, "noise": 0, "blur_voxels": 0}
    augmentation = Augmentation(grey_share=1.0, **{**still, **numbers})
    image = np.array([[-0.5, 0.0, 0.25, 2.0]], np.float32)
    changed = vary_greys(image, augmentation, np.random.default_rng(0))
    np.testing.assert_allclose(changed[0], expected, atol=1e-6)


def test_an_augmentation_comes_back_from_json() -> None:
    augmentation = Augmentation(scale=(0.5, 3.0), interpolation_order=1, flips=False)
    assert Augmentation.from_dict(json.loads(json.dumps(asdict(augmentation)))) == augmentation
    assert Augmentation.from_dict({}) == Augmentation()


def test_an_unknown_field_is_named() -> None:
    with pytest.raises(TrainingError, match="augmentation has no elastic; known: flips, "):
        Augmentation.from_dict({"elastic": 3})


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"scale": (2.0, 1.0)}, r"scale is \(2.0, 1.0\)"),
        ({"gain": (0.0, 1.0)}, r"gain is \(0.0, 1.0\)"),
        ({"gamma": (1.0,)}, r"gamma is \(1.0,\)"),
        ({"warp_share": 1.5}, "warp_share is 1.5"),
        ({"grey_share": -0.1}, "grey_share is -0.1"),
        ({"elastic_voxels": -1.0}, "elastic_voxels is -1.0"),
        ({"noise": float("nan")}, "noise is nan"),
        ({"elastic_points": 1}, "elastic_points is 1; give whole ones, 2 or more"),
        ({"elastic_points": 3.0}, "elastic_points is 3.0; give whole ones"),
        ({"interpolation_order": 2}, "interpolation_order is 2"),
        ({"noise": [0.1]}, r"noise is \[0.1\]; give numbers"),
        ({"flips": 1}, "flips is 1; give true or false"),
    ],
)
def test_impossible_augmentation_is_refused(numbers: dict[str, Any], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        Augmentation(**numbers)
