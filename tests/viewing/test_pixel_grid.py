"""Pixels of a picture show the voxels that lie below their centres."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from bigunet.errors import OptionError
from bigunet.io.files.opening import open_image
from bigunet.viewing import pixel_grid
from bigunet.viewing.pixel_grid import PixelGrid
from bigunet.viewing.position import parse_position, voxel_at

QUARTERS = st.integers(1, 12).map(lambda k: k / 4)


@settings(max_examples=15)
@given(
    shape=st.tuples(st.integers(1, 14), st.integers(1, 14)),
    scale=st.tuples(QUARTERS, QUARTERS),
    moved=st.tuples(QUARTERS, QUARTERS),
    pitch=QUARTERS,
    corner=st.tuples(st.integers(-20, 20), st.integers(-20, 20)),
    most=st.sampled_from([1, 20, 10**6]),
)
def test_each_pixel_has_the_value_of_the_voxel_below_its_centre(
    write_image: Any,
    shape: tuple[int, int],
    scale: tuple[float, float],
    moved: tuple[float, float],
    pitch: float,
    corner: tuple[int, int],
    most: int,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = {"scale": list(scale), "translation": list(moved)}
        pixels = write_image(Path(folder, "i.zarr"), "yx", shape=shape, metadata=place)
        image = open_image(Path(folder, "i.zarr"))
        # Eighths that no quarter is: no centre lies on an edge of a voxel.
        start = (corner[0] / 4 + 1 / 32, corner[1] / 4 + 1 / 32)
        grid = PixelGrid(9, 11, pitch, start, {})
        with mock.patch.object(pixel_grid, "_MOST_VOXELS", most):
            drawn = grid.voxels(image)
    for (row, column), value in np.ndenumerate(drawn):
        centre = (start[0] + (row + 0.5) * pitch, start[1] + (column + 0.5) * pitch)
        index = [math.floor((c - (t - s / 2)) / s) for c, t, s in zip(centre, moved, scale)]
        inside = all(0 <= k < n for k, n in zip(index, shape))
        assert value == (pixels[index[0], index[1]] if inside else 0)


def test_a_coarse_picture_is_the_coarse_level_and_a_fine_one_the_fine_level(
    tmp_path: Path,
) -> None:
    image = open_image(two_levels(tmp_path / "i.zarr"))
    group = zarr.open_group(tmp_path / "i.zarr", mode="r")
    voxel = voxel_at(image, {})
    for level, size in enumerate((40, 20)):
        drawn = PixelGrid.over(image, voxel, size=size).voxels(image)
        np.testing.assert_array_equal(drawn, np.asarray(group[str(level)]))


def two_levels(path: Path) -> Path:
    group = zarr.open_group(path, mode="w")
    noise = np.random.default_rng(0)
    datasets = []
    for level, factor in enumerate((1, 2)):
        shape = (40 // factor, 30 // factor)
        group.create_array(str(level), data=noise.integers(0, 256, shape).astype(np.uint8))
        steps = [
            {"type": "scale", "scale": [float(factor)] * 2},
            {"type": "translation", "translation": [(factor - 1) / 2] * 2},
        ]
        datasets.append({"path": str(level), "coordinateTransformations": steps})
    axes = [{"name": name, "type": "space"} for name in "yx"]
    multiscale = {"axes": axes, "datasets": datasets}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [multiscale]}
    return path


def test_a_picture_around_a_voxel_has_it_in_the_middle_a_pixel_for_each_voxel(
    tmp_path: Path, write_image: Any
) -> None:
    pixels = write_image(tmp_path / "i.zarr", "zyx", metadata={"scale": [3.0, 0.5, 0.5]})
    image = open_image(tmp_path / "i.zarr")
    voxel = voxel_at(image, {"z": 7, "y": 40, "x": 30})
    drawn = PixelGrid.around(image, voxel, size=20).voxels(image)
    np.testing.assert_array_equal(drawn, pixels[7, 30:50, 20:40])
    border = PixelGrid.around(image, voxel_at(image, {"y": 0, "x": 0}), size=20).voxels(image)
    np.testing.assert_array_equal(border[10:, 10:], pixels[10, :10, :10])
    assert not border[:10].any()


def test_a_small_plane_is_magnified_by_a_whole_number(tmp_path: Path, write_image: Any) -> None:
    pixels = write_image(tmp_path / "i.zarr", "yx", shape=(30, 20))
    image = open_image(tmp_path / "i.zarr")
    drawn = PixelGrid.over(image, voxel_at(image, {}), size=100).voxels(image)
    np.testing.assert_array_equal(drawn, np.kron(pixels, np.ones((3, 3), np.uint8)))


def test_the_middle_is_taken_for_what_is_not_stated_and_the_first_time(
    tmp_path: Path, write_image: Any
) -> None:
    write_image(tmp_path / "i.zarr", "tzyx")
    image = open_image(tmp_path / "i.zarr")
    assert voxel_at(image, {"x": 3}) == {"t": 0, "z": 10, "y": 45, "x": 3}
    with pytest.raises(OptionError, match=r"position z=20: .* has 20 voxels along z; give 0 to 19"):
        voxel_at(image, {"z": 20})
    with pytest.raises(OptionError, match=r"position c=0: .* has the axes t, z, y, x"):
        voxel_at(image, {"c": 0})


@pytest.mark.parametrize("text", ["x", "x=", "x=-1", "x=1,x=2", "x=1.5", "1200,800", "x=1;y=2"])
def test_a_position_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match=r"give voxels by axis, such as x=1200,y=800,z=10"):
        parse_position(text)
