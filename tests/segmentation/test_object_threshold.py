"""Objects of the voxels with a probability above a threshold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from support.classes_as_image import classes_model, write_classes

import bigunet
from bigunet.errors import OptionError

MODEL = classes_model(2)
FOREGROUND, BORDER, ELSE = 1, 2, 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("threshold")


def grey(seed: int) -> np.ndarray:
    """Smooth grey values, so that the probability of class 1 takes many values."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 3, (12, 14))
    return np.kron(coarse, np.ones((4, 4))).astype(np.uint8)


def stored(output: Path, name: str) -> np.ndarray:
    return np.asarray(zarr.open_array(output / name / "0", mode="r")[:])


@settings(max_examples=8)
@given(
    seed=st.integers(0, 99),
    threshold=st.sampled_from([0.2, 0.5, 0.7, 0.9]),
    border=st.sampled_from(["border", "none"]),
    block=st.sampled_from([(16, 16), (13, 29), (48, 56)]),
    width=st.integers(1, 4),
)
def test_objects_are_those_of_the_voxels_above_the_threshold(
    folder: Path, client: Any, seed: int, threshold: float, border: str, block: Any, width: int
) -> None:
    source, output = write_classes(folder / "in.zarr", grey(seed)), folder / "out.zarr"
    bigunet.segment(
        source, output, model=MODEL, client=client, outputs=["instances"], object_class="cell",
        object_threshold=threshold, border_class=border, border_width=width, block_shape=block,
        existing="overwrite", backend="torch",
    )  # fmt: skip
    classes = stored(output, "labels/classes")
    is_sure = stored(output, "probabilities")[FOREGROUND] > threshold * 255
    expected = np.where(classes == BORDER, BORDER if border == "border" else ELSE, 0)
    expected[(classes == FOREGROUND) & ~is_sure] = BORDER
    expected[is_sure] = FOREGROUND
    expected = bigunet.label_objects(expected, border=BORDER, border_width=width)
    assert np.array_equal(stored(output, "labels/instances"), expected)
    assert bigunet.verify(source, output, model=MODEL, windows=2).ids_wrong == 0


def test_a_threshold_that_is_no_probability_is_refused(folder: Path) -> None:
    for threshold in (0, 1, -0.5, 70):
        with pytest.raises(OptionError, match="give a number above 0 and below 1"):
            bigunet.SegmentOptions(object_threshold=threshold)


def test_a_threshold_needs_objects(folder: Path) -> None:
    source = write_classes(folder / "small.zarr", np.ones((8, 8), np.uint8))
    with pytest.raises(OptionError, match="give --output instances"):
        bigunet.segment(source, folder / "a", model=MODEL, outputs=["classes"],
                        object_threshold=0.5)  # fmt: skip
