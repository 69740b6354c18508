"""Laws of masks: each voxel has the value of the mask at its centre, at any resolution."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from bigunet.errors import OptionError
from bigunet.geometry import Box
from bigunet.io.images.discovery import open_multiscale
from bigunet.io.images.mask import Mask


def write_levels(path: Path, axes: str, levels: list[dict[str, Any]], unit: str | None) -> None:
    """Write an OME-Zarr 0.5 image; each level has voxels, scale and translation."""
    group = zarr.open_group(str(path), mode="w", zarr_format=3)
    entries = [{"name": a, "type": "channel" if a == "c" else "space"} for a in axes]
    if unit is not None:
        entries = [
            entry | ({"unit": unit} if entry["type"] == "space" else {}) for entry in entries
        ]
    datasets = []
    for number, level in enumerate(levels):
        voxels = level["voxels"]
        array = group.create_array(str(number), shape=voxels.shape, dtype=voxels.dtype)
        array[...] = voxels
        steps = [{"type": "scale", "scale": level["scale"]}]
        steps.append({"type": "translation", "translation": level["translation"]})
        datasets.append({"path": str(number), "coordinateTransformations": steps})
    multiscale = {"axes": entries, "datasets": datasets}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [multiscale]}


def write_plain(path: Path, axes: str, voxels: np.ndarray, **placed: Any) -> None:
    level = {"voxels": voxels, "scale": [1.0] * voxels.ndim, "translation": [0.0] * voxels.ndim}
    write_levels(path, axes, [level | {k: v for k, v in placed.items() if k != "unit"}],
                 placed.get("unit"))  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(
    factor=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    cells=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    bits=st.integers(0, 2**16 - 1),
    data=st.data(),
)
def test_the_voxels_of_a_coarse_mask_are_repeated(
    tmp_path_factory: pytest.TempPathFactory,
    factor: tuple[int, int],
    cells: tuple[int, int],
    bits: int,
    data: st.DataObject,
) -> None:
    folder = tmp_path_factory.mktemp("mask")
    mask = np.arange(cells[0] * cells[1]).reshape(cells) % 16
    mask = (bits >> mask & 1).astype(np.uint8)
    expected = mask.repeat(factor[0], 0).repeat(factor[1], 1).astype(bool)
    size, origin = [0.325, 0.5], [10.0, -3.0]
    write_plain(folder / "in.zarr", "yx", np.zeros(expected.shape, np.uint8),
                scale=size, translation=origin, unit="micrometer")  # fmt: skip
    # The mask states nanometres, and lies where a downsampled level of the image would lie.
    scale = [1000 * s * f for s, f in zip(size, factor)]
    placed = [1000 * (t + s * (f - 1) / 2) for t, s, f in zip(origin, size, factor)]
    write_plain(folder / "mask.zarr", "yx", mask, scale=scale, translation=placed,
                unit="nanometer")  # fmt: skip
    read_mask = Mask(open_multiscale(folder / "mask.zarr"), open_multiscale(folder / "in.zarr"))
    start = [data.draw(st.integers(0, n - 1)) for n in expected.shape]
    stop = [data.draw(st.integers(a + 1, n)) for a, n in zip(start, expected.shape)]
    box = Box(tuple(start), tuple(stop))
    np.testing.assert_array_equal(
        read_mask.read(box), expected[start[0] : stop[0], start[1] : stop[1]]
    )
    bare = zarr.create_array(str(folder / "bare.zarr"), shape=mask.shape, dtype="uint8")
    bare[...] = mask
    read_mask = Mask(open_multiscale(folder / "bare.zarr"), open_multiscale(folder / "in.zarr"))
    np.testing.assert_array_equal(
        read_mask.read(box), expected[start[0] : stop[0], start[1] : stop[1]]
    )


def test_voxels_outside_the_file_are_not_in_the_mask(tmp_path: Path) -> None:
    write_plain(tmp_path / "in.zarr", "yx", np.zeros((6, 6), np.uint8))
    write_plain(tmp_path / "mask.zarr", "yx", np.ones((2, 3), np.uint8), translation=[1.0, 2.0])
    read_mask = Mask(open_multiscale(tmp_path / "mask.zarr"), open_multiscale(tmp_path / "in.zarr"))
    expected = np.zeros((6, 6), bool)
    expected[1:3, 2:5] = True
    np.testing.assert_array_equal(read_mask.read(Box.of_shape((6, 6))), expected)
    assert not read_mask.read(Box((4, 0), (6, 6))).any()


def test_a_plane_masks_each_plane_of_a_volume(tmp_path: Path) -> None:
    write_plain(tmp_path / "in.zarr", "zyx", np.zeros((3, 4, 4), np.uint8))
    write_plain(tmp_path / "mask.zarr", "yx", np.eye(4, dtype=np.uint8))
    read_mask = Mask(open_multiscale(tmp_path / "mask.zarr"), open_multiscale(tmp_path / "in.zarr"))
    expected = np.broadcast_to(np.eye(4, dtype=bool), (3, 4, 4))
    np.testing.assert_array_equal(read_mask.read(Box.of_shape((3, 4, 4))), expected)


def test_the_coarsest_level_that_is_fine_enough_is_read(tmp_path: Path) -> None:
    write_plain(tmp_path / "in.zarr", "yx", np.zeros((4, 4), np.uint8), scale=[2.0, 2.0])
    levels = [
        {"voxels": np.full((8 // f, 8 // f), f, np.uint8) * (f == 2), "scale": [f, f],
         "translation": [(f - 1) / 2 - 0.5] * 2}
        for f in (1.0, 2.0, 4.0)
        for f in (int(f),)
    ]  # fmt: skip
    write_levels(tmp_path / "mask.zarr", "yx", levels, None)
    read_mask = Mask(open_multiscale(tmp_path / "mask.zarr"), open_multiscale(tmp_path / "in.zarr"))
    assert read_mask.read(Box.of_shape((4, 4))).all()


@pytest.mark.parametrize(
    ("axes", "words"), [("cyx", "has 2 channels"), ("zyx", "has the axes z, y, x; the image only")]
)
def test_a_mask_of_other_axes_is_refused(tmp_path: Path, axes: str, words: str) -> None:
    write_plain(tmp_path / "in.zarr", "yx", np.zeros((4, 4), np.uint8))
    write_plain(tmp_path / "mask.zarr", axes, np.zeros((2, 4, 4), np.uint8))
    with pytest.raises(OptionError, match=words):
        Mask(open_multiscale(tmp_path / "mask.zarr"), open_multiscale(tmp_path / "in.zarr"))
