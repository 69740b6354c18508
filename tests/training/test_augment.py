"""Laws of augmentation: what it may change and what not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigunet.errors import TrainingError
from bigunet.geometry import Box
from bigunet.training.augment import (
    NO_AUGMENTATION,
    Augmentation,
    positions,
    varied,
    vary_greys,
)

STIFF = replace(NO_AUGMENTATION, scale=(1.0, 1.0), elastic_voxels=0.0)


@given(st.integers(0, 2**32))
def test_flips_keep_every_voxel(seed: int) -> None:
    image = np.arange(2 * 5 * 5).reshape(2, 5, 5)
    turned, instances = varied(image, image[0], Augmentation(), np.random.default_rng(seed))
    np.testing.assert_array_equal(turned[0], instances)
    np.testing.assert_array_equal(np.sort(turned, axis=None), image.ravel())


def test_flips_and_exchanges_give_all_eight_orientations() -> None:
    image = np.arange(9).reshape(1, 3, 3)
    rng = np.random.default_rng(0)
    seen = {varied(image, image[0], Augmentation(), rng)[1].tobytes() for _ in range(200)}
    assert len(seen) == 8


@given(st.integers(0, 2**32))
def test_a_turn_without_scaling_keeps_distances(seed: int) -> None:
    where = positions(Box((3, -5), (14, 6)), STIFF, np.random.default_rng(seed))
    steps = np.linalg.norm(np.diff(where, axis=1), axis=0)
    np.testing.assert_allclose(steps, 1.0, rtol=1e-9)
    np.testing.assert_allclose(where[:, 5, 5], (8, 0), atol=1e-9)


@given(st.integers(0, 2**32))
def test_magnification_stays_within_its_limits(seed: int) -> None:
    augmentation = replace(STIFF, scale=(0.5, 2.0))
    where = positions(Box((0, 0), (9, 9)), augmentation, np.random.default_rng(seed))
    magnification = 1 / np.linalg.norm(np.diff(where, axis=2), axis=0)
    assert 0.5 - 1e-9 <= magnification.min() <= magnification.max() <= 2.0 + 1e-9


def test_elastic_displacement_is_smooth_and_as_large_as_asked() -> None:
    rng = np.random.default_rng(0)
    box = Box((0, 0), (200, 200))
    bent = positions(box, replace(STIFF, elastic_voxels=4.0), rng)
    bends = np.diff(bent, n=2, axis=1)
    assert np.abs(bends).max() < 0.2
    assert 1.0 < np.diff(bent, axis=1).std() * 24 < 40.0


def test_no_augmentation_leaves_greys_alone() -> None:
    image = np.random.default_rng(0).random((1, 8, 8)).astype(np.float32)
    same = vary_greys(image, NO_AUGMENTATION, np.random.default_rng(0))
    np.testing.assert_array_equal(same, image)


@given(st.integers(0, 2**32))
def test_varied_greys_stay_finite_and_keep_their_shape(seed: int) -> None:
    image = np.linspace(-0.5, 3, 128, dtype=np.float32).reshape(2, 8, 8)
    changed = vary_greys(image, Augmentation(grey_share=1.0), np.random.default_rng(seed))
    assert changed.shape == image.shape
    assert changed.dtype == np.float32
    assert np.isfinite(changed).all()


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"scale": (2.0, 1.0)}, r"scale is \(2.0, 1.0\)"),
        ({"gain": (0.0, 1.0)}, r"gain is \(0.0, 1.0\)"),
        ({"warp_share": 1.5}, "warp_share is 1.5"),
        ({"grey_share": -0.1}, "grey_share is -0.1"),
    ],
)
def test_impossible_augmentation_is_refused(numbers: dict, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        Augmentation(**numbers)
