"""Laws of the pictures of a segmentation."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image

from bigunet.report.overlay import outlines, overlay, side_by_side, write_png

COLORS = ((0, 0, 0), (230, 160, 25), (42, 127, 212))
LABELS = npst.arrays(
    np.uint8, npst.array_shapes(min_dims=1, max_dims=3, max_side=6), elements=st.integers(0, 2)
)


@settings(deadline=None)
@given(LABELS)
def test_outlines_are_the_labelled_voxels_with_a_neighbour_of_another_label(
    labels: np.ndarray,
) -> None:
    edge = outlines(labels)
    for index in np.ndindex(*labels.shape):
        around = []
        for axis, step in itertools.product(range(labels.ndim), (-1, 1)):
            beside = list(index)
            beside[axis] += step
            if 0 <= beside[axis] < labels.shape[axis]:
                around.append(labels[tuple(beside)])
        assert edge[index] == (labels[index] > 0 and any(n != labels[index] for n in around))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint32, np.float32])
def test_the_background_stays_grey_and_outlines_take_their_colour(dtype: type) -> None:
    grey = np.arange(400).reshape(20, 20).astype(dtype)
    labels = np.zeros((20, 20), np.uint8)
    labels[4:10, 4:10], labels[12:18, 2:9] = 1, 2
    picture = overlay(grey, labels, COLORS)
    assert picture.shape == (20, 20, 3)
    assert picture.dtype == np.uint8
    background = picture[labels == 0]
    assert (background == background[:, :1]).all()
    assert (np.diff(background[:, 0].astype(int)) >= 0).all() or dtype is np.uint8
    edge = outlines(labels)
    assert (picture[edge] == np.asarray(COLORS)[labels[edge]]).all()
    inside = (labels > 0) & ~edge
    assert inside.any()
    assert not (picture[inside] == np.asarray(COLORS)[labels[inside]]).all()


def test_grey_values_are_stretched_from_black_to_white() -> None:
    grey = np.linspace(-3e4, 7e4, 900).reshape(30, 30)
    picture = overlay(grey, np.zeros((30, 30), int), COLORS)
    assert picture.min() == 0
    assert picture.max() == 255


@pytest.mark.parametrize("value", [0, 77, 65535])
def test_a_flat_image_is_drawn(value: int) -> None:
    picture = overlay(np.full((5, 5), value, np.uint16), np.zeros((5, 5), np.uint8), COLORS)
    assert (picture == 0).all()


def test_drawing_does_not_change_the_image_or_the_labels() -> None:
    grey, labels = np.arange(25.0).reshape(5, 5), np.eye(5, dtype=np.uint8)
    overlay(grey, labels, COLORS)
    assert (grey == np.arange(25.0).reshape(5, 5)).all()
    assert (labels == np.eye(5)).all()


def test_pictures_stand_side_by_side_with_white_between() -> None:
    left, right = np.full((4, 3, 3), 10, np.uint8), np.full((4, 5, 3), 20, np.uint8)
    both = side_by_side(left, right, gap=2)
    assert both.shape == (4, 10, 3)
    assert (both[:, :3] == left).all()
    assert (both[:, 3:5] == 255).all()
    assert (both[:, 5:] == right).all()


def test_a_written_picture_reads_back(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    write_png(tmp_path / "picture.png", picture)
    with Image.open(tmp_path / "picture.png") as image:
        assert (np.asarray(image) == picture).all()
