"""Laws of where patches come from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigunet.errors import TrainingError
from bigunet.geometry import Box
from bigunet.training.augment import NO_AUGMENTATION, Augmentation
from bigunet.training.patches import Sample, cut, draw_box, draw_patch, mirrored

SHAPES_ONLY = Augmentation(warp_share=1.0, elastic_voxels=3.0, grey_share=0.0)


def coordinates_sample(shape: tuple[int, ...]) -> Sample:
    """An image whose channels are its voxels' coordinates, each voxel its own instance."""
    image = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"))
    instances = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
    return Sample(image.astype(np.float32), instances)


@st.composite
def boxes(draw: st.DrawFn, ndim: int) -> Box:
    start = draw(st.tuples(*(st.integers(-20, 20),) * ndim))
    shape = draw(st.tuples(*(st.integers(1, 15),) * ndim))
    return Box(start, tuple(a + n for a, n in zip(start, shape)))


@given(st.tuples(st.integers(2, 9), st.integers(2, 9)), boxes(2))
def test_a_patch_is_a_cut_of_the_mirrored_image(shape: tuple[int, int], box: Box) -> None:
    image = np.arange(shape[0] * shape[1]).reshape(shape)
    padded = np.pad(image, 40, mode="reflect")
    whole = Box((-40, -40), (shape[0] + 40, shape[1] + 40))
    np.testing.assert_array_equal(mirrored(image, box), padded[box.within(whole)])


def test_an_image_of_one_voxel_is_mirrored_into_a_constant() -> None:
    assert (mirrored(np.array([[7]]), Box((-3, 2), (4, 9))) == 7).all()


@given(boxes(3))
def test_leading_axes_are_not_mirrored(box: Box) -> None:
    image = np.random.default_rng(0).random((2, 4, 5, 6))
    for channel, expected in zip(mirrored(image, box), image):
        np.testing.assert_array_equal(channel, mirrored(expected, box))


@given(st.integers(0, 2**32), st.sampled_from([(24, 24), (17, 30), (40, 9)]))
def test_labels_stay_on_their_voxels_under_any_augmentation_of_shape(
    seed: int, shape: tuple[int, int]
) -> None:
    sample = coordinates_sample((21, 26))
    patch = draw_patch([sample], shape, SHAPES_ONLY, np.random.default_rng(seed))
    assert patch.instances.shape == patch.image.shape[1:]
    nearest = np.stack(np.unravel_index(patch.instances, (21, 26)))
    # Nearest means at most half a voxel away, up to rounding of the coordinates.
    assert np.abs(patch.image - nearest).max() <= 0.5 + 1e-4


@given(st.integers(0, 2**32))
def test_a_patch_without_augmentation_is_a_cut(seed: int) -> None:
    sample = coordinates_sample((21, 26))
    patch = draw_patch([sample], (16, 16), NO_AUGMENTATION, np.random.default_rng(seed))
    start = tuple(int(v) for v in patch.image[:, 8, 8] - 8)
    expected = cut(sample, Box(start, (start[0] + 16, start[1] + 16)))
    np.testing.assert_array_equal(patch.image, expected.image)
    np.testing.assert_array_equal(patch.instances, expected.instances)


@given(st.integers(0, 2**32))
def test_the_centre_of_a_patch_lies_in_the_image(seed: int) -> None:
    sample = coordinates_sample((3, 50))
    box = draw_box(sample, (8, 8), np.random.default_rng(seed))
    centre = Box(tuple(a + 4 for a in box.start), tuple(a + 5 for a in box.start))
    assert Box.of_shape((3, 50)).contains(centre)


def test_images_are_drawn_by_their_weights() -> None:
    samples = [
        Sample(np.full((1, 4, 4), value, np.float32), np.zeros((4, 4), int), weight)
        for value, weight in ((0, 1.0), (1, 3.0))
    ]
    rng = np.random.default_rng(0)
    drawn = [draw_patch(samples, (2, 2), NO_AUGMENTATION, rng).image.mean() for _ in range(400)]
    assert 0.68 < np.mean(drawn) < 0.82


def test_patches_may_have_three_axes() -> None:
    sample = coordinates_sample((6, 12, 12))
    patch = draw_patch([sample], (4, 8, 8), SHAPES_ONLY, np.random.default_rng(1))
    assert patch.image.shape == (3, 4, 8, 8)


@pytest.mark.parametrize(
    ("image", "instances", "weight", "message"),
    [
        (np.zeros((1, 4, 4)), np.zeros((4, 5), int), 1.0, r"instances of \(4, 5\)"),
        (np.zeros((1, 4, 4)), np.zeros((4, 4)), 1.0, "give integers"),
        (np.zeros((1, 4, 4)), np.zeros((4, 4), int), 0.0, "weight 0.0"),
    ],
    ids=["other shape", "not integer", "never drawn"],
)
def test_a_sample_that_does_not_fit_is_refused(
    image: np.ndarray, instances: np.ndarray, weight: float, message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        Sample(image, instances, weight)
