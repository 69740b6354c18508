"""Labels without a place lie on the level of the image that has their shape."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image
from support.squares import write_squares

from bigunet.errors import LabelsError
from bigunet.io.files.opening import open_image
from bigunet.viewing.open_scene import SceneRequest, open_scene
from bigunet.viewing.pixel_grid import PixelGrid
from bigunet.viewing.placing import placed_over
from bigunet.viewing.position import voxel_at


def labels_of(image: Path, level: int) -> np.ndarray:
    return np.asarray(zarr.open_group(image, mode="r")[f"labels/classes/{level}"])


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("placing") / "i.zarr"
    write_squares(path, (24, 36), (0.5, 0.25))
    return path


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("suffix", [".zarr", ".tif", ".png"])
def test_labels_of_the_shape_of_a_level_lie_on_it(
    image: Path, tmp_path: Path, level: int, suffix: str
) -> None:
    path, voxels = tmp_path / f"cells{suffix}", labels_of(image, level)
    if suffix == ".zarr":
        zarr.save_array(path, voxels)
    elif suffix == ".tif":
        # The pixel size of a program that knows none.
        tifffile.imwrite(path, voxels, resolution=(72, 72), resolutionunit="INCH")
    else:
        Image.fromarray(voxels).save(path)
    scene = open_scene(SceneRequest(path=image, labels=[path]))
    own, given = scene.labels
    assert [one.unit for one in given.image.axes] == ["micrometer", "micrometer"]
    assert given.image.volume_scale() == own.image.volume_scale(level)
    assert given.image.volume_translation() == own.image.volume_translation(level)
    grid = PixelGrid.over(scene.main, voxel_at(scene.main, {}), size=18)
    np.testing.assert_array_equal(grid.voxels(given.image) > 0, grid.voxels(own.image) > 0)


def test_an_ome_zarr_lies_where_it_says(image: Path, tmp_path: Path) -> None:
    write_squares(tmp_path / "cells.zarr", (8, 8), (0.5, 0.25))
    labels = open_image(tmp_path / "cells.zarr")
    assert placed_over(labels, open_image(image)) is labels


def test_labels_of_another_shape_are_refused(image: Path, tmp_path: Path) -> None:
    zarr.save_array(tmp_path / "cells.zarr", np.zeros((24, 35), np.uint8))
    with pytest.raises(LabelsError, match=r"24 × 35 voxels .* has 24 × 36, 12 × 18: give labels"):
        open_scene(SceneRequest(path=image, labels=[tmp_path / "cells.zarr"]))


def test_what_numbers_nothing_is_no_labels(image: Path, tmp_path: Path) -> None:
    zarr.save_array(tmp_path / "cells.zarr", np.zeros((24, 36), np.float32))
    with pytest.raises(LabelsError, match=r"1 channel\(s\) of float32: labels are whole numbers"):
        open_scene(SceneRequest(path=image, labels=[tmp_path / "cells.zarr"]))


def test_labels_of_one_plane_lie_over_each_point_in_time(tmp_path: Path, write_image: Any) -> None:
    write_image(tmp_path / "i.zarr", "tyx", metadata={"scale": [2.0, 0.5, 0.25]})
    zarr.save_array(tmp_path / "cells.zarr", np.zeros((90, 70), np.uint8))
    (layer,) = open_scene(
        SceneRequest(path=tmp_path / "i.zarr", labels=[tmp_path / "cells.zarr"])
    ).labels
    assert layer.image.volume_scale() == (0.5, 0.25)


def test_coarse_levels_of_labels_lie_half_a_voxel_further(image: Path, tmp_path: Path) -> None:
    zarr.save_array(tmp_path / "cells.zarr", np.zeros((24, 36), np.uint8))
    one = open_image(tmp_path / "cells.zarr")
    half = replace(one.levels[0], shape=(12, 18), scale=(2.0, 2.0))
    labels = placed_over(replace(one, levels=(one.levels[0], half)), open_image(image))
    own = open_image(image / "labels/classes")
    for level in (0, 1):
        assert labels.volume_scale(level) == own.volume_scale(level)
        assert labels.volume_translation(level) == own.volume_translation(level)
