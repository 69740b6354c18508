"""Laws of segment on arrays: it writes what it writes for a zarr with the same voxels."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import xarray as xr
import zarr
from distributed import Client
from hypothesis import given, settings
from hypothesis import strategies as st
from support.stored import contents

import bigunet
from bigunet import ClusterSpec
from bigunet.errors import BigUNetError, OptionError

EXTENTS = {"t": 2, "c": 2, "z": 2, "y": 21, "x": 37}
OPTIONS: dict[str, Any] = {"outputs": ("classes", "instances"), "object_class": "class 1"}
PLANE = np.random.default_rng(0).integers(0, 256, (40, 30), np.uint8)


def noise(axes: str) -> np.ndarray:
    shape = tuple(EXTENTS[axis] for axis in axes)
    return np.random.default_rng(len(axes)).integers(0, 2**16, shape, np.uint16)


def written_for_a_zarr(voxels: np.ndarray, axes: str, folder: Path, **given: Any) -> Path:
    array = zarr.create_array(
        folder / "in.zarr", shape=voxels.shape, chunks=voxels.shape, dtype=voxels.dtype,
        dimension_names=list(axes), config={"write_empty_chunks": True},
    )  # fmt: skip
    array[...] = voxels
    bigunet.segment(folder / "in.zarr", folder / "path.zarr", **given)
    return folder / "path.zarr"


def voxels_of(output: Path) -> dict[str, bytes]:
    """All files of an output but the record of the run, which has times and paths."""
    return {name: text for name, text in contents(output).items() if "bigunet/" not in name}


@settings(max_examples=3, deadline=None)
@given(axes=st.sampled_from(["yx", "zyx", "cyx", "yxc", "tyx"]), kind=st.sampled_from("nxd"))
def test_an_array_gives_the_files_that_a_zarr_with_its_voxels_gives(
    axes: str, kind: str, tiny_model: Path, client: Client
) -> None:
    voxels = noise(axes)
    given = {"model": tiny_model, "client": client, "no_report": True, **OPTIONS}
    if "c" in axes:
        given["channels"] = [1]
    array: Any = da.from_array(voxels, chunks=16) if kind == "d" else voxels
    stated = axes
    if kind == "x":
        array, stated = xr.DataArray(voxels, dims=list(axes)), ""
    with tempfile.TemporaryDirectory() as folder:
        expected = written_for_a_zarr(voxels, axes, Path(folder), **given)
        report = bigunet.segment(array, f"{folder}/out.zarr", axes=stated, **given)
        out = Path(report.output)
        assert voxels_of(out).keys() == voxels_of(expected).keys()
        for group in ("labels/classes", "labels/instances"):
            np.testing.assert_array_equal(
                zarr.open_array(out / group / "0", mode="r")[...],
                zarr.open_array(expected / group / "0", mode="r")[...],
                strict=True,
            )
        # Nothing of the array is left beside the output.
        assert sorted(p.name for p in Path(folder).iterdir()) == [
            "in.zarr", "out.zarr", "path.zarr"
        ]  # fmt: skip


def test_the_size_of_a_voxel_and_the_names_come_from_the_array(
    tiny_model: Path, client: Client, tmp_path: Path
) -> None:
    report = bigunet.segment(
        PLANE, tmp_path / "a.zarr", model=tiny_model, client=client, voxel_size_um=[0.5, 0.25]
    )
    assert report.plan.voxel_size_um == (0.5, 0.25)
    info = bigunet.info(tmp_path / "a.zarr")
    assert "0.25" in json.dumps(info)
    assert report.plan.image.url == "the array"
    assert (report.output, report.finished) == (str(tmp_path / "a.zarr"), True)
    page = Path(report.page).read_text("utf-8")
    assert "Segmentation of the array" in page
    assert "no command can repeat the run" in page
    record = (tmp_path / "a.zarr/bigunet/report.json").read_text("utf-8")
    assert "bigunet-array-" not in page + record


def test_each_chunk_of_a_dask_array_is_computed_once_and_no_two_are_held(
    tiny_model: Path, client: Client, tmp_path: Path
) -> None:
    computed: list[Any] = []

    def make(block_info: Any = None) -> np.ndarray:
        computed.append(block_info[None]["chunk-location"])
        return np.full((16, 16), len(computed), np.uint8)

    array = da.map_blocks(make, chunks=((16,) * 4, (16,) * 3), dtype=np.uint8)
    computed.clear()  # Dask asks for the type of a chunk.
    bigunet.segment(array, tmp_path / "a.zarr", model=tiny_model, client=client)
    assert computed == [(y, x) for y in range(4) for x in range(3)]


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({}, r"^an array has no place for labels: .* bigunet\.predict, which returns arrays$"),
        ({"target": "o.zarr", "existing": "resume"}, "needs an image that stays: write the array"),
        ({"target": "o.zarr", "part": "1/2"}, "^part needs an image that stays"),
        ({"target": "o.zarr", "level": 1}, "an array has level 0 alone"),
        ({"target": "o.zarr", "skip_empty": True}, "skip_empty is for stored chunks"),
        ({"target": "o.zarr", "axes": "zyx"}, "axes"),
    ],
)
def test_what_does_not_fit_an_array_is_refused_before_anything_is_written(
    given: dict[str, Any], match: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BigUNetError, match=match):
        bigunet.segment(PLANE, **given)
    assert list(tmp_path.iterdir()) == []


def test_what_is_for_arrays_is_refused_for_a_path(tmp_path: Path) -> None:
    for name in ("voxel_size_um", "scratch"):
        with pytest.raises(OptionError, match=f"^{name} is for arrays, and in.zarr is a path"):
            bigunet.segment("in.zarr", tmp_path / "o.zarr", **{name: 1})  # type: ignore[arg-type]


def test_an_output_that_exists_is_refused_and_the_copy_removed(
    tiny_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "o.zarr").mkdir()
    (tmp_path / "o.zarr/mine.txt").write_text("mine")
    with pytest.raises(BigUNetError, match=r"o\.zarr"):
        bigunet.segment(PLANE, tmp_path / "o.zarr", model=tiny_model, client=ClusterSpec("threads"))
    assert contents(tmp_path) == {"o.zarr/mine.txt": b"mine"}
