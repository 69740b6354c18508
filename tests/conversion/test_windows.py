"""Laws of what viewers draw as black and white: numbers of the image, whatever one voxel says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from distributed import Client
from hypothesis import given, settings
from hypothesis import strategies as st
from ngff_zarr.validate import validate

from bigunet import convert


def windows_of(path: Path, voxels: np.ndarray, client: Client, **options: Any) -> list[Any]:
    """The windows of an image that is converted, each as start and end."""
    names = {2: "yx", 3: "zyx", 4: "czyx", 5: "tczyx"}[voxels.ndim]
    array = zarr.create_array(
        str(path / "in.zarr"), shape=voxels.shape, chunks=voxels.shape, dtype=voxels.dtype,
        dimension_names=tuple(names), overwrite=True,
    )  # fmt: skip
    array[...] = voxels
    convert(
        path / "in.zarr", path / "out.zarr", client=client, ome_version="0.6",
        existing="overwrite", **options,
    )  # fmt: skip
    attributes = zarr.open_group(str(path / "out.zarr"), mode="r").attrs.asdict()
    validate(attributes, version="0.6", model="image")
    windows = [one["window"] for one in attributes["ome"]["omero"]["channels"]]
    assert all(one["min"] <= one["start"] < one["end"] <= one["max"] for one in windows)
    return [(one["start"], one["end"]) for one in windows]


@settings(max_examples=6, deadline=None)
@given(
    dtype=st.sampled_from(["uint8", "uint16", "int16", "float32"]),
    shape=st.sampled_from([(60, 70), (3, 40, 50), (2, 3, 30, 40), (2, 2, 1, 40, 40)]),
    seed=st.integers(0, 99),
)
def test_at_most_a_thousandth_of_the_voxels_lies_on_either_side(
    client: Client, tmp_path_factory: pytest.TempPathFactory, dtype: str, shape: Any, seed: int
) -> None:
    voxels = np.random.default_rng(seed).normal(90, 20, shape).clip(0, 250).astype(dtype)
    windows = windows_of(tmp_path_factory.mktemp("w"), voxels, client)
    axis = voxels.ndim - 4
    channels = np.moveaxis(voxels, axis, 0) if axis >= 0 else voxels[None]
    assert len(windows) == len(channels)
    for (start, end), channel in zip(windows, channels, strict=True):
        assert {type(start), type(end)} == {float if dtype == "float32" else int}
        assert (channel < start).mean() <= 0.001
        assert (channel > end).mean() <= 0.001
        assert start >= np.sort(channel, axis=None)[int(channel.size * 0.001)]


def test_a_hot_voxel_leaves_the_others_visible(client: Client, tmp_path: Path) -> None:
    voxels = np.random.default_rng(0).integers(100, 200, (80, 90)).astype(np.uint16)
    voxels[3, 4], voxels[5, 6] = 65535, 0
    assert windows_of(tmp_path, voxels, client) == [(100, 199)]


@pytest.mark.parametrize(
    ("voxels", "options", "window"),
    [
        (np.eye(30, dtype=bool), {}, (0, 1)),
        (np.ones((30, 30), bool), {}, (0, 1)),
        (np.full((30, 30), np.nan, np.float32), {}, (0, 1)),
        (np.full((30, 30), 7, np.uint8), {}, (0, 7)),
        (np.full((30, 30), -7, np.int16), {}, (-7, 0)),
        (np.zeros((30, 30), np.uint8), {}, (0, 1)),
        # Objects that fill less than a thousandth, and numbers of objects: all values count.
        (np.pad([[900]], ((0, 59), (0, 59))).astype(np.uint16), {}, (0, 900)),
        (np.arange(3600).reshape(60, 60).astype(np.uint16), {"labels": True}, (0, 3599)),
    ],
)
def test_windows_of_images_with_few_values(
    client: Client, tmp_path: Path, voxels: np.ndarray, options: Any, window: Any
) -> None:
    assert windows_of(tmp_path, voxels, client, **options) == [window]
