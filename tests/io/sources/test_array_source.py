"""Laws of arrays as sources: whatever holds the voxels, they are read the same."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import tifffile
import torch
import xarray as xr
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from bigunet.errors import GeometryError, ImageError, OptionError
from bigunet.geometry import Box
from bigunet.io.sources.array_source import ArraySource
from bigunet.io.sources.source import Source, open_source

WORDS = {"t": "time", "c": "channel", "z": "z", "y": "height", "x": "x"}
Open = Callable[[np.ndarray, str, Path], Source]


def as_zarr(voxels: np.ndarray, axes: str, folder: Path) -> Source:
    group = zarr.open_group(str(folder / "a.zarr"), mode="w", zarr_format=2)
    group.create_array("0", shape=voxels.shape, dtype=voxels.dtype, chunks=(3,) * voxels.ndim)[
        ...
    ] = voxels
    entry = {"version": "0.4", "axes": list(axes), "datasets": [{"path": "0"}]}
    group.attrs["multiscales"] = [entry]
    return open_source(folder / "a.zarr")


def as_tiff(voxels: np.ndarray, axes: str, folder: Path) -> Source:
    tifffile.imwrite(
        folder / "a.tif", voxels, photometric="minisblack", metadata={"axes": axes.upper()}
    )
    return open_source(folder / "a.tif")


SOURCES: dict[str, Open] = {
    "numpy": lambda voxels, axes, _: ArraySource(voxels, axes=axes),
    "other byte order": lambda voxels, axes, _: ArraySource(
        voxels.astype(voxels.dtype.newbyteorder(">")), axes=axes
    ),
    "dask": lambda voxels, axes, _: ArraySource(da.from_array(voxels, chunks=4), axes=axes),
    "xarray": lambda voxels, axes, _: ArraySource(
        xr.DataArray(voxels, dims=[*map(WORDS.get, axes)])
    ),
    "xarray of dask": lambda voxels, axes, _: ArraySource(
        xr.DataArray(da.from_array(voxels, chunks=4), dims=[*map(WORDS.get, axes)])
    ),
    "zarr array": lambda voxels, axes, _: ArraySource(zarr.array(voxels), axes=axes),
    "zarr": as_zarr,
    "tiff": as_tiff,
}


def mirrored(volume: np.ndarray, box: Box) -> np.ndarray:
    """The box, cut from the whole volume that numpy mirrors: (channel, *box.shape)."""
    padded = np.pad(volume, [(0, 0), *[(40, 40)] * box.ndim], mode="reflect")
    parts = (slice(a + 40, b + 40) for a, b in zip(box.start, box.stop))
    return padded[(slice(None), *parts)]


@settings(max_examples=12, deadline=None)
@given(data=st.data(), dtype=st.sampled_from(("uint8", "int16", "float32")))
def test_a_box_and_its_percentiles_are_the_same_whatever_holds_the_voxels(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, dtype: str
) -> None:
    extra = data.draw(st.permutations(sorted(data.draw(st.sets(st.sampled_from("tcz"))))))
    axes = "".join([*extra, "y", "x"])
    shape = tuple(data.draw(st.integers(2, 6)) for _ in axes)
    voxels = np.random.default_rng(0).integers(0, 99, shape).astype(dtype)
    order = [axes.index(a) for a in "ctzyx" if a in axes]
    whole = voxels.transpose(order) if "c" in axes else voxels.transpose(order)[np.newaxis]
    start = tuple(data.draw(st.integers(-9, 9)) for _ in whole.shape[1:])
    box = Box(start, tuple(a + data.draw(st.integers(0, 9)) for a in start))
    folder = tmp_path_factory.mktemp("image")
    sources = {kind: opened(voxels, axes, folder) for kind, opened in SOURCES.items()}
    for kind, source in sources.items():
        read = source.read(box)
        np.testing.assert_array_equal(read, mirrored(whole, box), err_msg=kind)
        assert read.dtype == source.dtype == np.dtype(dtype)
        assert read.flags.c_contiguous
        assert source.axes == tuple(a for a in "tzyx" if a in axes)
        assert source.shape == whole.shape[1:]
    values = {source.percentiles((1, 50, 99.8)) for source in sources.values()}
    assert len(values) == 1
    assert len(values.pop()) == len(whole)


@pytest.mark.parametrize("kind", ["numpy", "dask", "xarray", "xarray of dask", "zarr array"])
def test_channels_are_read_in_the_order_in_which_they_are_given(tmp_path: Path, kind: str) -> None:
    voxels = np.arange(4 * 5 * 6).reshape(5, 4, 6)
    arrays: dict[str, Any] = {
        "numpy": voxels,
        "dask": da.from_array(voxels, chunks=2),
        "xarray": xr.DataArray(voxels),
        "xarray of dask": xr.DataArray(da.from_array(voxels, chunks=2)),
        "zarr array": zarr.array(voxels),
    }
    array = arrays[kind]
    if kind.startswith("xarray"):
        array = array.rename(dict(zip(array.dims, "ycx")))
    source = ArraySource(array, axes="ycx", channels=(3, 0, 3))
    expected = voxels.transpose(1, 0, 2)[[3, 0, 3]]
    np.testing.assert_array_equal(source.read(Box((0, 0), (5, 6))), expected)
    assert source.percentiles((0, 100)) == tuple((c.min(), c.max()) for c in expected)


@pytest.mark.usefixtures("client")
def test_only_the_chunks_of_a_dask_array_under_a_box_are_computed() -> None:
    computed: list[tuple[int, ...]] = []

    def compute(block_info: Any = None) -> np.ndarray:
        computed.append(block_info[None]["chunk-location"])
        return np.full((4, 4), len(computed), np.uint8)

    lazy = da.map_blocks(compute, chunks=((4,) * 5, (4,) * 5), dtype=np.uint8)
    computed.clear()
    source = ArraySource(lazy, axes="yx")
    assert computed == []
    source.read(Box((-3, 5), (2, 7)))  # mirrored rows 1 to 3 lie in the same chunk
    assert computed == [(0, 1)]


def test_the_caller_may_change_what_was_read() -> None:
    voxels = np.arange(20).reshape(4, 5)
    source = ArraySource(voxels, axes="yx")
    source.read(Box((0, 0), (4, 5)))[...] = -1
    np.testing.assert_array_equal(voxels, np.arange(20).reshape(4, 5))


def test_a_voxel_size_is_that_of_the_axes_that_are_space() -> None:
    voxels = np.zeros((2, 3, 4, 5), np.uint8)
    size = {"z": 2.0, "y": 0.5, "x": 0.25}
    assert ArraySource(voxels, axes="tzyx", voxel_size_um=size).scale_um == (2.0, 0.5, 0.25)
    assert ArraySource(voxels, axes="tzyx", voxel_size_um={"x": 0.25}).scale_um is None


def test_a_source_of_an_array_can_be_pickled() -> None:
    voxels = np.arange(20).reshape(4, 5)
    copy = pickle.loads(pickle.dumps(ArraySource(voxels, axes="yx")))
    np.testing.assert_array_equal(copy.read(Box((0, 0), (4, 5)))[0], voxels)


@pytest.mark.parametrize(
    ("array", "axes", "message"),
    [
        ([[1, 2]], "yx", "array is of the type list; give an array of numbers"),
        (np.zeros((3, 3), complex), "yx", "dtype complex128; voxels are integers, floats or bool"),
        (np.zeros((0, 3)), "yx", r"shape \(0, 3\); each axis needs a voxel"),
        (np.zeros((3, 9, 9)), "yx", r"shape \(3, 9, 9\); the axes yx are 2"),
        (np.zeros((9, 9, 3)), "", "say what the last one is"),
        (np.zeros(3), "", "has not 2 to 5 dimensions"),
        (xr.DataArray(np.zeros((3, 3))), "", "'dim_0' is unknown"),
        (xr.DataArray(np.zeros((3, 3)), dims=("x", "y")), "yx", "takes 'x' for y"),
        (da.from_array(np.arange(9), chunks=3)[da.from_array(np.arange(9) > 4)], "yx", "nan"),
    ],
)
def test_what_is_no_image_is_refused_with_what_was_wrong(
    array: Any, axes: str, message: str
) -> None:
    with pytest.raises(ImageError, match=message):
        ArraySource(array, axes=axes)


def test_a_channel_or_a_box_that_the_array_lacks_is_refused() -> None:
    voxels = np.zeros((4, 5))
    with pytest.raises(OptionError, match=r"channels \(1,\) of array: choose one or more of 0"):
        ArraySource(voxels, axes="yx", channels=(1,))
    with pytest.raises(GeometryError, match="has 3 axes; the image has y, x"):
        ArraySource(voxels, axes="yx").read(Box.of_shape((1, 2, 3)))


def test_an_array_that_cannot_be_computed_is_an_image_error_with_its_cause() -> None:
    def fail(block: np.ndarray) -> np.ndarray:
        raise ZeroDivisionError("no light")

    lazy = da.map_blocks(fail, da.zeros((4, 4)), dtype=float, meta=np.zeros((0, 0)))
    with pytest.raises(ImageError, match=r"box \[0:2, 0:2\] of array: ZeroDivisionError: no light"):
        ArraySource(lazy, axes="yx").read(Box((0, 0), (2, 2)))


def test_an_array_of_a_type_that_numpy_does_not_know_is_refused() -> None:
    with pytest.raises(ImageError, match=r"dtype torch\.float32, which numpy does not know"):
        ArraySource(torch.zeros(4, 4), axes="yx")
