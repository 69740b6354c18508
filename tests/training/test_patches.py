"""Patches are numbered, lie in the right place, and have the weights of the whole image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.discs import discs, grey_of, sample_of

from bigunet.errors import TrainingError
from bigunet.geometry import Box
from bigunet.model.networks.unet import UNetConfig
from bigunet.receptive import ReceptiveField
from bigunet.training.data.augment import NO_AUGMENTATION
from bigunet.training.data.patches import PatchSource, read_border_term
from bigunet.training.data.samples import Sample
from bigunet.training.data.targets import TargetRule, classes_of
from bigunet.training.recipe import Recipe

PLAIN = Recipe(patch=20, augmentation=NO_AUGMENTATION, border_sigma=2.0)
VARIED = Recipe(patch=20, border_sigma=2.0)
WEIGHTS = (1.0, 2.0, 3.0)
CELLS = TargetRule("cells")


def field(ndim: int = 2) -> ReceptiveField:
    return UNetConfig(ndim=ndim, width=2, depth=1).receptive_field()


def source_of(samples: list[Sample], recipe: Recipe = PLAIN, ndim: int = 2) -> PatchSource:
    return PatchSource(samples, recipe, CELLS, WEIGHTS, field(ndim))


@pytest.mark.parametrize("recipe", [PLAIN, VARIED])
def test_a_patch_depends_on_seed_and_number_alone(recipe: Recipe) -> None:
    first, second = (source_of([sample_of(discs())], recipe) for _ in range(2))
    second.draw(5)
    np.testing.assert_array_equal(first.draw(3).image, second.draw(3).image)
    other = source_of([sample_of(discs())], replace(recipe, seed=1))
    assert not np.array_equal(first.draw(3).image, other.draw(3).image)
    assert not np.array_equal(first.draw(3).image, first.draw(4).image)


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_an_unvaried_patch_is_a_crop_of_the_mirrored_image(number: int) -> None:
    # Every voxel has a different grey value, which shows where the patch lies.
    labels = discs()
    image = np.arange(labels.size, dtype=np.float64).reshape(labels.shape)
    source = source_of([sample_of(labels, image)])
    patch = source.draw(number)
    border = field().border
    inner = tuple(slice(b, n - b) for b, n in zip(border, patch.image.shape[1:]))
    number_of = np.rint(patch.image[0][inner] * 110 + 40).astype(int)
    truth = labels.ravel()[number_of]
    np.testing.assert_array_equal(truth[patch.classes < 2] > 0, patch.classes[patch.classes < 2])
    assert patch.image.dtype == np.float32
    assert (
        patch.classes.shape
        == patch.weights.shape
        == tuple(n - 2 * b for n, b in zip(patch.image.shape[1:], border))
    )


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_the_border_term_of_a_box_is_that_of_the_whole_image(seed: int) -> None:
    labels = discs(seed=seed, count=20)
    sample = sample_of(labels)
    rng = np.random.default_rng(seed)
    start = tuple(int(rng.integers(0, n - 12)) for n in labels.shape)
    box = Box(start, tuple(a + 12 for a in start))
    whole = read_border_term(sample, Box.of_shape(labels.shape), PLAIN, ndim=2)
    part = read_border_term(sample, box, PLAIN, ndim=2)
    np.testing.assert_allclose(part, whole[box.within(Box.of_shape(labels.shape))], atol=1e-6)


def test_weights_are_those_of_the_class_and_of_the_border_term() -> None:
    labels = discs(count=25)
    sample = sample_of(labels)
    with_term, without = (
        source_of([sample], replace(PLAIN, border_weight=w0)).draw(2) for w0 in (10.0, 0.0)
    )
    np.testing.assert_array_equal(without.weights, np.array(WEIGHTS)[without.classes])
    difference = with_term.weights - without.weights
    assert difference.min() >= 0
    assert 0.5 < difference.max() <= 10.001


def test_kept_terms_equal_computed_terms() -> None:
    labels = discs(count=25)
    sample = sample_of(labels)
    whole = read_border_term(sample, Box.of_shape(labels.shape), VARIED, ndim=2)
    kept = replace(sample, terms=sample_of(whole, grey_of(labels)).labels)
    for number in range(5):
        a, b = (source_of([s], VARIED).draw(number) for s in (sample, kept))
        np.testing.assert_allclose(a.weights, b.weights, atol=1e-5)


def test_a_patch_larger_than_the_image_is_mirrored() -> None:
    sample = sample_of(discs((9, 11), count=2))
    patch = source_of([sample], replace(PLAIN, patch=40)).draw(0)
    assert min(patch.classes.shape) >= 40


def test_planes_of_a_stack_are_images_to_a_flat_network() -> None:
    labels = np.stack([discs(seed=k) for k in range(3)])
    patch = source_of([sample_of(labels)], VARIED).draw(1)
    assert patch.image.ndim == 3
    assert patch.classes.ndim == 2


def test_a_volume_gives_patches_of_three_axes() -> None:
    sample = sample_of(discs((24, 26, 28), count=12))
    patch = source_of([sample], replace(VARIED, patch=12), ndim=3).draw(0)
    assert patch.image.shape[1:] == source_of([sample], replace(VARIED, patch=12), ndim=3).shape
    assert patch.classes.ndim == 3


def test_images_of_more_weight_are_drawn_more_often() -> None:
    dark, bright = np.zeros((30, 30)), np.full((30, 30), 150.0)
    labels = discs((30, 30))
    samples = [replace(sample_of(labels, image), weight=w) for image, w in ((dark, 1), (bright, 3))]
    source = source_of(samples)
    share = np.mean([source.draw(k).image.mean() > 0.5 for k in range(200)])
    assert 0.65 < share < 0.85


def test_no_image_is_an_error() -> None:
    with pytest.raises(TrainingError, match="no image to train on"):
        source_of([])


def test_classes_are_computed_with_their_neighbours() -> None:
    # A patch has the classes that the whole image has there, at the rim of the patch too.
    labels = discs(count=30)
    image = np.arange(labels.size, dtype=np.float64).reshape(labels.shape)
    source = source_of([sample_of(labels, image)], replace(PLAIN, patch=16))
    whole = classes_of(labels, CELLS)
    border = field().border
    for number in range(30):
        patch = source.draw(number)
        inner = tuple(slice(b, n - b) for b, n in zip(border, patch.image.shape[1:]))
        where = np.rint(patch.image[0][inner] * 110 + 40).astype(int)
        mirrored = len(np.unique(where)) < where.size
        if not mirrored:
            np.testing.assert_array_equal(patch.classes, whole.ravel()[where])
