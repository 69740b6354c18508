"""Laws of the picture of training patches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image

from bigunet.errors import OutputError, TrainingError
from bigunet.model.description import SegmentationClass
from bigunet.report.training_patches import SeenPatch, colored, draw_patches, middle_plane

CLASSES = (
    SegmentationClass("background", "#102030"),
    SegmentationClass("cell", "#e6a019"),
    SegmentationClass("border", "#2a7fd4"),
)


def patch_of(
    inner: tuple[int, ...],
    *,
    border: int = 0,
    truth: int = 1,
    prediction: int = 2,
    weight: float = 3,
) -> SeenPatch:
    image = np.random.default_rng(0).random(tuple(n + 2 * border for n in inner))
    return SeenPatch(
        image=image,
        classes=np.full(inner, truth, np.uint8),
        weights=np.full(inner, weight, np.float32),
        prediction=np.full(inner, prediction, np.uint8),
    )


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture.convert("RGB"))


def share(picture: np.ndarray, color: str) -> float:
    rgb = tuple(int(color[i : i + 2], 16) for i in (1, 3, 5))
    return float((picture == rgb).all(axis=2).mean())


@given(npst.arrays(np.uint8, npst.array_shapes(min_dims=2, max_dims=2), elements=st.integers(0, 2)))
def test_each_label_takes_the_colour_of_its_class(labels) -> None:
    picture = colored(labels, CLASSES)
    assert picture.shape == (*labels.shape, 3)
    for index in np.ndindex(*labels.shape):
        assert tuple(picture[index]) == CLASSES[labels[index]].rgba[:3]


@given(npst.array_shapes(min_dims=2, max_dims=3))
def test_the_middle_plane_has_as_many_planes_before_as_after(shape) -> None:
    volume = np.arange(np.prod(shape)).reshape(shape)
    plane = middle_plane(volume)
    assert plane.shape == shape[-2:]
    if len(shape) == 3 and shape[0] % 2:
        assert (plane == middle_plane(volume[::-1])).all()


@pytest.mark.parametrize("inner", [(40, 40), (20, 50), (9, 40, 40)])
@pytest.mark.parametrize("border", [0, 12])
def test_truth_and_prediction_fill_their_cells_with_their_colours(inner, border, tmp_path) -> None:
    draw_patches([patch_of(inner, border=border)], CLASSES, tmp_path / "patches.png")
    picture = pixels(tmp_path / "patches.png")
    half = picture.shape[1] // 2
    # The truth stands left of the middle, the prediction right of it; the legend is small.
    assert share(picture[:, :half], CLASSES[1].color) > 0.1
    assert share(picture[:, half:], CLASSES[2].color) > 0.1
    assert share(picture[:, :half], CLASSES[2].color) < 0.02
    assert share(picture, CLASSES[0].color) < 0.01


def test_the_middle_plane_of_a_volume_is_drawn(tmp_path: Path) -> None:
    volume = patch_of((5, 30, 30), border=8, truth=0, prediction=0)
    volume.classes[2] = volume.prediction[2] = 1
    draw_patches([volume], CLASSES, tmp_path / "patches.png")
    assert share(pixels(tmp_path / "patches.png"), CLASSES[1].color) > 0.2


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_picture_has_a_row_for_each_patch(count, tmp_path: Path) -> None:
    draw_patches([patch_of((16, 16))] * count, CLASSES, tmp_path / "patches.png")
    height, width, _ = pixels(tmp_path / "patches.png").shape
    assert abs(height / width - (2.4 * count + 0.6) / 10.4) < 0.01


def test_flat_images_and_weights_of_zero_are_drawn(tmp_path: Path) -> None:
    patch = patch_of((16, 16), weight=0)
    patch.image[:] = 0.5
    draw_patches([patch], CLASSES, tmp_path / "patches.png")
    assert pixels(tmp_path / "patches.png").size


@pytest.mark.parametrize(
    ("image", "inner", "weights", "message"),
    [
        ((8, 8), (8, 8), (8, 7), "give one shape"),  # maps of two shapes
        ((8, 8, 8), (8, 8), (8, 8), "give one shape"),  # a volume with a plane's truth
        ((8,), (8,), (8,), "2 or 3 axes"),
        ((6, 8), (8, 8), (8, 8), "must be as large"),  # smaller than the scored part
        ((9, 8), (8, 8), (8, 8), "same on both sides"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(image, inner, weights, message) -> None:
    labels = np.zeros(inner, np.uint8)
    with pytest.raises(TrainingError, match=message):
        SeenPatch(np.zeros(image), labels, np.zeros(weights, np.float32), labels)


def test_no_patch_or_a_class_without_name_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no patches"):
        draw_patches([], CLASSES, tmp_path / "patches.png")
    with pytest.raises(TrainingError, match="hold class 3, but only 3 classes are named"):
        draw_patches([patch_of((8, 8), prediction=3)], CLASSES, tmp_path / "patches.png")


def test_a_picture_that_cannot_be_written_is_an_error_of_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot write the picture .*patches\.png"):
        draw_patches([patch_of((8, 8))], CLASSES, tmp_path / "file" / "patches.png")
