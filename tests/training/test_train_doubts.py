"""Doubtful images and labels are refused, or warned of in one line before the first step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.discs import InMemory, discs, grey_of, sample_of
from support.training_images import OPTIONS, quick, write_array, write_folders

from bigunet.errors import TrainingError
from bigunet.training.data.doubts import doubts_of
from bigunet.training.data.samples import Sample
from bigunet.training.data.training_set import open_training_set
from bigunet.training.data.voxel_sizes import common_voxel_size, doubt_of_sizes


def some(count: int = 3) -> list[Sample]:
    return [sample_of(discs(seed=k), url=f"{k}.png") for k in range(count)]


def swapped(samples: list[Sample], kind: Callable[[np.ndarray], np.ndarray]) -> list[Sample]:
    """Samples with grey images as labels, and with labels of some kind as images."""
    exchanged = []
    for k, sample in enumerate(samples):
        labels, grey = sample.labels.voxels[0], sample.image.voxels[0]  # type: ignore[attr-defined]
        image = kind(labels)
        exchanged.append(sample_of(grey.astype(np.uint16), image, f"{k}.png"))
    return exchanged


def doubts(samples: list[Sample], apart: list[Sample]) -> list[str]:
    return list(doubts_of(samples, apart))


def test_good_images_and_labels_raise_no_doubt() -> None:
    assert doubts(some(3), [sample_of(discs(seed=9), url="9.png")]) == []


def test_masks_given_as_images_and_grey_images_as_labels_are_refused() -> None:
    masks = swapped(some(), lambda labels: (labels > 0) * np.uint8(255))
    with pytest.raises(TrainingError, match=r"0\.png 2 values: IMAGES and LABELS are swapped"):
        doubts(masks, [])


def test_what_is_likely_swapped_is_a_doubt() -> None:
    (line,) = doubts(swapped(some(), lambda labels: labels), [])
    assert line.endswith("0.png looks like labels: are IMAGES and LABELS swapped?")
    greys = [sample_of(grey_of(discs(), seed=1).astype(np.uint16), grey_of(discs()))]
    (line,) = doubts(greys, [])
    assert line.endswith("as a grey image does: are these labels?")


def test_images_of_one_value_are_named_and_refused_where_all_are() -> None:
    flat = sample_of(discs(seed=8), np.full((60, 50), 7, np.uint8), "flat.png")
    (line,) = doubts([*some(), flat], [])
    assert line.startswith("flat.png holds one value only")
    with pytest.raises(TrainingError, match=r"every image holds one value only, as flat\.png"):
        doubts([flat], [])


def test_labels_of_one_value_are_named() -> None:
    empty = [sample_of(np.zeros((60, 50), np.uint8), url=f"{k} empty") for k in range(2)]
    (line,) = doubts([*some(), *empty], [])
    assert line.startswith("0 empty labels, one of 2 of 5, that hold one label only")


def test_an_image_that_is_learned_from_and_validated_on_under_two_names_is_a_doubt() -> None:
    again = sample_of(discs(seed=1), url="copy.png")
    (line,) = doubts(some(), [again])
    assert "hold the voxels of one that is learned from, as copy.png those of 1.png" in line


def test_the_same_labels_for_different_images_are_a_doubt() -> None:
    labels = discs(seed=0)
    other = sample_of(labels, grey_of(labels, seed=5), "other.png")
    (line,) = doubts([*some(), other], [])
    assert line.startswith("0.png labels and other.png labels hold the same labels")


def sized(*sizes: tuple[float, ...] | None) -> list[Sample]:
    samples = []
    for k, size in enumerate(sizes):
        sample = sample_of(discs(seed=k), url=f"{k}.zarr")
        image: Any = InMemory(grey_of(discs(seed=k))[None], "yx", f"{k}.zarr")
        image.scale_um = size
        samples.append(replace(sample, image=image))
    return samples


@pytest.mark.parametrize(
    ("sizes", "common", "is_doubtful"),
    [
        ([(0.5, 0.25), (0.5, 0.25)], (0.5, 0.25), False),
        ([(0.5, 0.25), None], (0.5, 0.25), False),  # the median of the images that state it
        ([None, None], (), False),
        ([(0.5, 0.5), (0.6, 0.6), (0.7, 0.7)], (0.6, 0.6), False),
        ([(0.5, 0.5), (0.5, 0.8)], (), True),
    ],
)
def test_the_model_is_trained_at_the_voxel_size_that_images_have_in_common(
    sizes: list[Any], common: tuple[float, ...], is_doubtful: bool
) -> None:
    assert common_voxel_size(sized(*sizes), 2) == pytest.approx(common)
    doubt = doubt_of_sizes(sized(*sizes), 2)
    assert bool(doubt) == is_doubtful
    if is_doubtful:
        assert "0.5 µm in 0.zarr and 0.8 µm in 1.zarr" in doubt


def test_images_of_other_voxel_sizes_are_a_doubt_unless_a_size_is_given(tmp_path: Path) -> None:
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    for k, scale in enumerate((0.5, 1.0)):
        labels = discs(seed=k)
        for name, voxels in (("images", grey_of(labels)), ("labels", labels)):
            write_array(tmp_path / name / f"{k}.zarr", voxels, (scale, scale))
    paths = tmp_path / "images", tmp_path / "labels"
    training_set = open_training_set(*paths, OPTIONS, quick())
    assert [doubt.split(" in ")[0] for doubt in training_set.doubts] == ["voxels of 0.5 µm"]
    assert training_set.voxel_size_um == ()
    given = open_training_set(*paths, replace(OPTIONS, voxel_size_um=(0.5, 0.5)), quick())
    assert (given.doubts, given.voxel_size_um) == ((), (0.5, 0.5))


def test_a_value_that_is_ignored_in_vain_is_a_doubt(tmp_path: Path) -> None:
    write_folders(tmp_path)
    options = replace(OPTIONS, ignore=(99,))
    training_set = open_training_set(tmp_path / "images", tmp_path / "labels", options, quick())
    assert training_set.doubts == ("no label holds 99, which --ignore leaves out",)
