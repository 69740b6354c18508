"""Samples: parts, boxes of labels, the census, and the split."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.discs import InMemory, discs, sample_of

from bigunet.errors import ImageError, TrainingError
from bigunet.geometry import Box
from bigunet.io.sources.crop import Crop
from bigunet.training.data.census import take_census, weigh
from bigunet.training.data.label_checks import label_values
from bigunet.training.data.split import split_samples
from bigunet.training.data.targets import TargetRule

CELLS = TargetRule("cells")


@given(st.data())
@settings(deadline=None)
def test_a_part_is_a_source_of_its_own(data: st.DataObject) -> None:
    voxels = np.arange(9 * 7).reshape(1, 9, 7)
    start = [data.draw(st.integers(0, n - 1)) for n in (9, 7)]
    stop = [data.draw(st.integers(a + 1, n)) for a, n in zip(start, (9, 7))]
    part = Crop(InMemory(voxels, "yx"), Box(tuple(start), tuple(stop)))
    alone = InMemory(voxels[:, start[0] : stop[0], start[1] : stop[1]], "yx")
    low = [data.draw(st.integers(-12, 12)) for _ in range(2)]
    box = Box(tuple(low), tuple(a + data.draw(st.integers(1, 20)) for a in low))
    np.testing.assert_array_equal(part.read(box), alone.read(box))


def test_a_part_outside_of_its_source_is_refused() -> None:
    with pytest.raises(ImageError, match="has no part"):
        Crop(InMemory(np.zeros((1, 4, 4)), "yx"), Box((0, 0), (4, 5)))


@pytest.mark.parametrize("shape", [(5, 7), (3, 300, 200), (3000, 3000)])
def test_the_label_boxes_of_an_image_of_ordinary_size_partition_it(shape: tuple[int, ...]) -> None:
    hits = np.zeros(shape, np.uint8)
    sample = sample_of(np.zeros(shape, np.uint8), np.zeros(shape, np.uint8))
    for box in sample.label_boxes():
        hits[box.within(Box.of_shape(shape))] += 1
    assert (hits == 1).all()


def test_the_census_counts_classes_and_objects() -> None:
    labels = np.zeros((10, 12), np.uint8)
    labels[2:5, 2:5], labels[2:5, 5:8] = 3, 9
    census = take_census([sample_of(labels)], CELLS, warped_ndim=2)
    # Background at either end of their common edge touches both objects.
    assert census.counts == (120 - 22, 12, 10)
    assert census.objects == (2,)


APART = np.zeros((9, 9), np.uint8)
APART[1:3, 1:3], APART[6:8, 6:8] = 1, 2


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ((APART > 0) * np.uint8(255), r"--connected if .* masks, --target classes .*-width 0"),
        (APART, "no two objects .* touch, .* class border: give --border-width 0"),
        (APART * 0, "of class cell, border; .* never occurs: check the labels and --target$"),
    ],
    ids=["masks", "objects apart", "nothing"],
)
def test_a_cell_class_that_never_occurs_is_named_with_its_cure(
    labels: np.ndarray, message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        take_census([sample_of(labels)], CELLS, warped_ndim=2)


def test_some_of_the_classes_that_never_occur_are_named() -> None:
    rule = TargetRule("classes", tuple(range(30)))
    message = "class 3, class 4, class 5, class 6, class 7, ...; .* --target cells if values number"
    with pytest.raises(TrainingError, match=message):
        take_census([sample_of(APART)], rule, warped_ndim=2)


def test_values_that_are_objects_are_not_taken_for_classes() -> None:
    labels = np.arange(32, dtype=np.uint16).reshape(8, 4)
    assert label_values([sample_of(labels)]) == tuple(range(32))
    with pytest.raises(TrainingError, match=r"over 32 values .* give --target cells, .*-values"):
        label_values([sample_of(labels), sample_of(labels + 1)])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_grey_value_that_is_no_number_is_an_error_that_names_the_image(value: float) -> None:
    image = np.zeros((8, 8), np.float32)
    image[3, 3] = value
    sample = sample_of(np.zeros((8, 8), np.uint8), image, "nan.tif")
    with pytest.raises(TrainingError, match=r"nan\.tif has 1 values that are NaN or infinite"):
        sample.grey(Box((0, 0), (8, 8)))
    assert sample.grey(Box((4, 4), (8, 8))).shape == (1, 4, 4)


@given(st.integers(2, 30), st.floats(0.01, 0.9), st.integers(0, 5))
@settings(deadline=None)
def test_a_split_keeps_whole_images_apart_and_loses_none(n: int, share: float, seed: int) -> None:
    samples = [sample_of(np.zeros((4, 4), np.uint8), url=f"{k}.png") for k in range(n)]
    kept, apart = split_samples(samples, share, seed=seed)
    names = {s.image.url for s in samples}
    assert {s.image.url for s in kept} | {s.image.url for s in apart} == names
    assert len(kept) + len(apart) == n
    assert kept
    assert apart
    again = split_samples(samples[::-1], share, seed=seed)[1]
    assert {s.image.url for s in again} == {s.image.url for s in apart}


@pytest.mark.parametrize("shape", [(40, 30), (20, 30, 30), (3, 30, 40)])
def test_a_part_of_a_single_image_is_kept_apart(shape: tuple[int, ...]) -> None:
    labels = np.arange(np.prod(shape)).reshape(shape)
    (kept,), (apart,) = split_samples([sample_of(labels, labels)], 0.2, seed=0)
    values = [s.labels.read(Box.of_shape(s.labels.shape)).ravel() for s in (kept, apart)]
    assert sorted(np.concatenate(values)) == list(range(labels.size))
    assert len(values[1]) == pytest.approx(0.2 * labels.size, rel=0.4)


@pytest.mark.parametrize(
    ("by", "expected"), [("voxels", [16.0, 64.0]), ("objects", [1.0, 2.0]), ("images", [1.0, 1.0])]
)
def test_images_are_weighed_as_the_recipe_says(by: str, expected: list[float]) -> None:
    small, large = np.zeros((4, 4), np.uint8), np.zeros((8, 8), np.uint8)
    large[0, 0], large[0, 1] = 1, 2
    samples = [sample_of(small), sample_of(large)]
    census = take_census([*samples, sample_of(discs())], CELLS, warped_ndim=2)
    assert [s.weight for s in weigh(samples, census, by)] == expected
