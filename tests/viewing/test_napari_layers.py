"""What napari shows: the same voxels at the same place, and what is known of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dask import config
from hypothesis import given, settings
from hypothesis.extra import numpy as npst
from PIL import Image
from support.squares import COLOUR, write_squares

from bigunet.io.files.opening import open_image
from bigunet.viewing.napari_layers import LazyLevel, lazy_levels, napari_layers
from bigunet.viewing.napari_reader import get_reader
from bigunet.viewing.open_scene import SceneRequest, open_scene

SHAPE = (2, 4, 6, 5)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, write_image: Any) -> tuple[Path, np.ndarray]:
    path = tmp_path_factory.mktemp("napari") / "i.zarr"
    return path, write_image(path, "tzyx", shape=SHAPE)


@settings(max_examples=25)
@given(
    parts=npst.basic_indices(
        SHAPE, min_dims=1, max_dims=4, allow_newaxis=False, allow_ellipsis=False
    )
)
def test_an_array_of_napari_gives_what_numpy_gives(
    stack: tuple[Path, np.ndarray], parts: Any
) -> None:
    path, pixels = stack
    parts = parts if isinstance(parts, tuple) else (parts,)
    expected = pixels[parts]
    with config.set(scheduler="synchronous"):
        seen = np.asarray(lazy_levels(open_image(path), (0,))[parts])
    np.testing.assert_array_equal(seen, expected)
    whole = (*(int(p) if not isinstance(p, slice) else p for p in parts), *[slice(None)] * 4)[:4]
    direct = LazyLevel(open_image(path), 0, (0,))[whole]
    np.testing.assert_array_equal(direct, expected)


def test_colours_are_the_last_axis(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 9, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "slide.png")
    ((data, keywords, kind),) = napari_layers(open_scene(SceneRequest(path=tmp_path / "slide.png")))
    assert (kind, keywords["rgb"]) == ("image", True)
    np.testing.assert_array_equal(np.asarray(data), pixels)


def test_layers_lie_over_each_other_and_classes_have_their_colours(tmp_path: Path) -> None:
    classes = write_squares(tmp_path / "i.zarr", (4, 8, 6), (2.0, 0.5, 0.5))
    image, labels = napari_layers(open_scene(SceneRequest(path=tmp_path / "i.zarr")))
    for key in ("scale", "translate", "units", "axis_labels"):
        assert image[1][key] == labels[1][key]
    assert (image[1]["scale"], image[1]["units"]) == ([2.0, 0.5, 0.5], ["micrometer"] * 3)
    assert image[1]["contrast_limits"] == (0.0, 200.0)
    np.testing.assert_array_equal(np.asarray(labels[0][0]), classes)
    assert len(labels[0]) == 2
    assert labels[1]["colormap"][1] == (*(part / 255 for part in COLOUR), 1.0)
    assert labels[1]["features"] == {"index": [0, 1], "name": ["background", "box"]}


def test_the_reader_takes_outputs_of_bigunet_alone(tmp_path: Path) -> None:
    write_squares(tmp_path / "i.zarr", (8, 6), (0.5, 0.5))
    others: list[Any] = [
        str(tmp_path / "i.zarr"),
        str(tmp_path),
        str(tmp_path / "none.zarr"),
        ["a"],
    ]
    assert [get_reader(path) for path in others] == [None] * 4
    damaged = tmp_path / "i.zarr/bigunet"
    damaged.mkdir()
    (damaged / "ledger.jsonl").write_text("{broken\n{broken\n")
    assert get_reader(str(tmp_path / "i.zarr")) is None
