"""Laws of arrays on disk: every voxel is written once, in bounded parts, under the right axis."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given
from hypothesis import strategies as st

from bigunet.arrays import given_array
from bigunet.arrays.given_array import GivenArray
from bigunet.errors import ImageError, OptionError
from bigunet.io.images.discovery import open_multiscale
from bigunet.io.output.array_image import read_output_array, write_array_image


@st.composite
def arrays(draw: st.DrawFn) -> tuple[np.ndarray, str]:
    others = draw(st.sets(st.sampled_from("tcz")))
    axes = "".join(draw(st.permutations(["y", "x", *sorted(others)])))
    shape = tuple(draw(st.integers(1, 7)) for _ in axes)
    kind = draw(st.sampled_from(["u1", ">u2", "<i4", "f4", "f8", "?"]))
    return np.random.default_rng(0).integers(0, 200, shape).astype(kind), axes


@given(arrays(), st.integers(1, 300), st.integers(1, 5), st.booleans())
def test_parts_make_up_the_array_each_voxel_once(
    made: tuple[np.ndarray, str], part_bytes: int, chunk: int, is_dask: bool
) -> None:
    voxels, axes = made
    array = da.from_array(voxels, chunks=chunk) if is_dask else voxels
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(given_array, "_PART_BYTES", part_bytes)
        patch.setattr(given_array, "_SIDE", chunk)
        own = GivenArray.of(array, axes, None)
        hits = np.zeros(voxels.shape, int)
        for box, part in own.parts():
            where = tuple(slice(a, b) for a, b in zip(box.start, box.stop))
            hits[where] += 1
            np.testing.assert_array_equal(part, voxels[where])
            largest = max(part_bytes, int(np.prod(own.image.levels[0].chunks)) * part.itemsize)
            assert is_dask or part.nbytes <= largest
    assert (hits == 1).all()


@given(arrays(), st.integers(1, 5))
def test_the_image_on_disk_has_the_voxels_axes_and_sizes_of_the_array(
    made: tuple[np.ndarray, str], chunk: int
) -> None:
    voxels, axes = made
    sizes = {axis: 0.25 * (k + 1) for k, axis in enumerate(axes) if axis in "zyx"}
    own = GivenArray.of(da.from_array(voxels, chunks=chunk), axes, sizes)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.zarr")
        write_array_image(path, own.image, own.parts())
        image = open_multiscale(path)
        np.testing.assert_array_equal(read_output_array(path / "0"), voxels)
        array = zarr.open_array(path / "0", mode="r")
        assert array.nchunks_initialized == array.nchunks
    assert "".join(axis.name for axis in image.axes) == axes
    assert image.levels[0].dtype == voxels.dtype.name
    assert [image.levels[0].scale[axes.index(a)] for a in sizes] == list(sizes.values())
    assert {image.unit(axis) for axis in sizes} == {"micrometer"}


def labelled(units: dict[str, str], **coordinates: Any) -> xr.DataArray:
    made = {
        name: (name, values, {"units": units[name]} if name in units else {})
        for name, values in coordinates.items()
    }
    shape = (4, 5, 6)
    return xr.DataArray(np.zeros(shape, "u1"), dims=("z", "y", "x"), coords=made)


@pytest.mark.parametrize(
    ("array", "stated", "sizes"),
    [
        (labelled({"x": "um"}, x=np.arange(6) * 0.5), None, {"x": 0.5}),
        (labelled({"x": "nm"}, x=np.arange(6) * 40), None, {"x": 0.04}),
        (labelled({"x": "um"}, x=np.arange(6)[::-1] * 0.5), None, {"x": 0.5}),  # downwards
        (labelled({"x": "um"}, x=np.round(np.arange(6) / 3, 5)), None, {"x": 1 / 3}),  # rounded
        (labelled({"x": "um"}, x=[0, 1, 2, 4, 5, 6]), None, {}),  # not even
        (labelled({}, x=np.arange(6) * 0.5), None, {}),  # no unit
        (labelled({"x": "deg"}, x=np.arange(6) * 0.5), None, {}),  # no length
        (labelled({"x": "um"}, x=np.zeros(6)), None, {}),  # no step
        (labelled({"x": "um"}, x=np.arange(6) * 0.5), 0.5, {"z": 0.5, "y": 0.5, "x": 0.5}),
        (labelled({}), (2, 1, 0.5), {"z": 2.0, "y": 1.0, "x": 0.5}),
        (labelled({}), {"x": 1, "y": 2, "z": 3}, {"z": 3.0, "y": 2.0, "x": 1.0}),
    ],
)
def test_the_size_of_a_voxel_is_that_of_coordinates_or_of_the_caller(
    array: Any, stated: Any, sizes: dict[str, float]
) -> None:
    image = GivenArray.of(array, "", stated).image
    known = {a.name: s for a, s in zip(image.axes, image.levels[0].scale) if a.unit}
    assert known == pytest.approx(sizes, rel=1e-4)


@pytest.mark.parametrize(
    ("array", "axes", "stated", "says"),
    [
        (labelled({"x": "um"}, x=np.arange(6) * 0.5), "", 0.4, "x, but the coordinates .* 0.5 µm"),
        (np.zeros((4, 5, 6)), "zyx", (1, 2), r"is \(1, 2\); give micrometres for each axis"),
        (np.zeros((4, 5, 6)), "xyz", (1, 2, 3), r'give .*\{"x": 0.5, "y": 0.5, "z": 0.5\}'),
        (np.zeros((4, 5, 6)), "zyx", {"y": 1, "x": 1}, "for each axis"),
        (np.zeros((5, 6)), "yx", 0, "is 0; give"),
        (np.zeros((5, 6)), "yx", float("nan"), "is nan; give"),
        (np.zeros((5, 6)), "yx", "0.5", "is '0.5'; give"),
        (np.zeros((5, 6)), "yx", True, "is True; give"),
    ],
)
def test_sizes_that_are_unclear_are_refused(array: Any, axes: str, stated: Any, says: str) -> None:
    with pytest.raises(OptionError, match=says):
        GivenArray.of(array, axes, stated)


class _Lying(np.ndarray):
    def __getitem__(self, where: Any) -> Any:
        return np.zeros(3)


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.ma.masked_less(np.arange(30).reshape(5, 6), 7), "is masked: give array.filled"),
        (np.zeros((5, 6)).view(_Lying), r"gives float64 of shape \(3,\); correct it"),
    ],
)
def test_voxels_that_are_no_plain_numbers_are_refused(array: Any, says: str) -> None:
    with pytest.raises(ImageError, match=says):
        list(GivenArray.of(array, "yx", None).parts())


def test_a_zarr_with_chunks_that_are_not_stored_is_refused() -> None:
    array = zarr.create_array({}, shape=(20, 20), chunks=(10, 10), dtype="u1")
    array[:10] = 1
    with pytest.raises(ImageError, match=r"2 chunks are not stored: .* bigunet\.segment"):
        GivenArray.of(array, "yx", None)
    array[:] = 1
    assert GivenArray.of(array, "yx", None).shape == (20, 20)


def test_the_names_of_channels_are_those_of_their_coordinate() -> None:
    named = xr.DataArray(np.zeros((2, 5, 6)), dims=("c", "y", "x"), coords={"c": ["DAPI", "GFP"]})
    assert GivenArray.of(named, "", None).image.channel_names == ("DAPI", "GFP")
    numbered = named.assign_coords(c=[405, 488])
    assert GivenArray.of(numbered, "", None).image.channel_names == ("", "")
