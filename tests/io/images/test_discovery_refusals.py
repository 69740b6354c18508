"""Laws of refused inputs: one clear ImageError, and never another type of exception."""

import math
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from fsspec.registry import _registry as imported_classes

from bigunet.errors import ImageError
from bigunet.io.images.discovery import open_multiscale

AXES = [{"name": "c"}, {"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
SCALE = {"type": "scale", "scale": [1, 2, 2]}
MOVE = {"type": "translation", "translation": [0, 1, 1]}
ENTRY: dict[str, Any] = {
    "version": "0.4",
    "name": "cells",
    "axes": AXES,
    "datasets": [{"path": "0", "coordinateTransformations": [SCALE, MOVE]}],
    "coordinateTransformations": [{"type": "identity"}, SCALE],
}


def write(path: Path, entry: object, *, shape: tuple[int, ...] = (2, 8, 9)) -> Path:
    """Write an image before 0.5 with this entry and one array."""
    group = zarr.open_group(str(path), mode="w", zarr_format=2)
    group.create_array("0", shape=shape, dtype="uint8")
    group.attrs["multiscales"] = [entry]
    return path


def test_a_missing_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"/nowhere does not exist; see how it is written"):
        open_multiscale(tmp_path / "nowhere")


def test_a_missing_url_is_refused() -> None:
    with pytest.raises(ImageError, match=r"no such store: .* memory://nowhere/image"):
        open_multiscale("memory://nowhere/image.zarr")


def test_a_folder_or_file_that_is_no_zarr_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes").write_bytes(b"nothing in particular")
    for path in (tmp_path, tmp_path / "notes"):
        with pytest.raises(ImageError, match="neither a zarr array nor a zarr group"):
            open_multiscale(path)


@pytest.mark.parametrize(
    ("attributes", "match"),
    [
        ({}, "group without multiscales"),
        ({"multiscales": []}, "multiscales is empty"),
        ({"multiscales": {}}, "multiscales is {}, not a JSON array"),
        ({"labels": ["nuclei"]}, "holds labels; give one of them: .*/nuclei"),
        ({"labels": []}, "none is listed"),
        ({"ome": 5}, "ome is 5, not a JSON object"),
        ({"ome": {"multiscales": [{}]}}, "ome has no version"),
        ({"ome": {"version": "0.7", "multiscales": [{}]}}, "known versions are 0.1, .* 0.6"),
        ({"bioformats2raw.layout": 3}, "holds no series; give an image or array inside it"),
        ({"plate": {}}, "wells is None, not a JSON array"),
        ({"plate": {"wells": []}}, "is a plate, .* none is listed"),
        ({"plate": {"wells": [{"path": "../A"}]}}, "not a path below the group"),
    ],
)
def test_a_group_that_is_no_image_is_refused(
    tmp_path: Path, attributes: dict[str, Any], match: str
) -> None:
    zarr.open_group(str(tmp_path / "g"), mode="w").attrs.put(attributes)
    with pytest.raises(ImageError, match=match):
        open_multiscale(tmp_path / "g")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"version": "abc123"}, "version is 'abc123'; known versions are 0.1, 0.2, 0.3, 0.4, 0.5"),
        ({"version": "0.40"}, "known versions"),
        ({"axes": ["y", "x"]}, r"has 3 dimensions \(2, 8, 9\), but the image has 2 axes y, x"),
        ({"axes": None}, "has 3 dimensions .* 5 axes t, c, z, y, x"),
        ({"axes": ["q", "y", "x"]}, "named 'q'; known axes are t, c, z, y, x"),
        ({"axes": ["c", "y", "y"]}, "not y and x with any of t, c, z, each once"),
        ({"datasets": []}, "no levels"),
        ({"datasets": None}, "datasets is None, not a JSON array"),
        ({"datasets": [{"path": "7"}]}, "array '7' of .* is missing"),
        ({"datasets": [{"path": "../0"}]}, "not a path below the group"),
        ({"datasets": [{"path": True}]}, "path is True, not a path"),
        ({"coordinateTransformations": [{"type": "affine"}]}, "type 'affine'; known types are"),
        (
            {"coordinateTransformations": [{"type": "scale", "scale": [1, 2]}]},
            "3 axes need 3 numbers",
        ),
        (
            {"coordinateTransformations": [{"type": "scale", "scale": [1, 2, math.nan]}]},
            "not finite numbers",
        ),
        (
            {"coordinateTransformations": [{"type": "scale", "scale": [1, 2, 10**400]}]},
            "not finite numbers",
        ),
        (
            {"coordinateTransformations": [{"type": "scale", "scale": [1, 2, 0]}]},
            "a voxel's size is above 0",
        ),
    ],
)
def test_an_image_with_wrong_metadata_is_refused(
    tmp_path: Path, change: dict[str, Any], match: str
) -> None:
    with pytest.raises(ImageError, match=match):
        open_multiscale(write(tmp_path / "i", {**ENTRY, **change}))


def test_a_group_where_an_array_should_be_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "i", {**ENTRY, "datasets": [{"path": "g"}]})
    zarr.open_group(str(path / "g"), mode="w", zarr_format=2)
    with pytest.raises(ImageError, match="is a zarr group where an array should be"):
        open_multiscale(path)


@pytest.mark.parametrize("shape", [(5,), (1, 1, 1, 1, 4, 4)])
def test_a_bare_array_of_other_than_2_to_5_dimensions_is_refused(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    zarr.create_array(str(tmp_path / "a"), shape=shape, dtype="uint8")
    with pytest.raises(ImageError, match="has not 2 to 5 dimensions"):
        open_multiscale(tmp_path / "a")


def test_an_array_without_voxels_is_refused(tmp_path: Path) -> None:
    zarr.create_array(str(tmp_path / "a"), shape=(0, 4), dtype="uint8", chunks=(1, 1))
    with pytest.raises(ImageError, match=r"shape \(0, 4\) .* no voxels"):
        open_multiscale(tmp_path / "a")


@pytest.mark.parametrize("dtype", ["complex64", "S3", "U2", "datetime64[s]", [("a", "u1")]])
def test_voxels_that_are_no_numbers_are_refused(tmp_path: Path, dtype: object) -> None:
    zarr.create_array(str(tmp_path / "a"), shape=(4, 4), dtype=np.dtype(dtype), zarr_format=2)
    with pytest.raises(ImageError, match="voxels are integers, floats or booleans"):
        open_multiscale(tmp_path / "a")


def test_booleans_are_voxels(tmp_path: Path) -> None:
    zarr.create_array(str(tmp_path / "a"), shape=(4, 4), dtype="bool")
    assert open_multiscale(tmp_path / "a").levels[0].dtype == "bool"


def test_an_unknown_protocol_is_refused() -> None:
    with pytest.raises(ImageError, match=r"cannot read teapot://image.zarr: .*teapot"):
        open_multiscale("teapot://image.zarr")


@pytest.mark.parametrize(
    ("scheme", "package", "extra"),
    [("s3", "s3fs", "s3"), ("s3a", "s3fs", "s3"), ("gs", "gcsfs", "gcs"), ("gcs", "gcsfs", "gcs")],
)
def test_the_extra_that_installs_a_missing_package_is_named(
    scheme: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # fsspec keeps the classes that it imported; a module of None cannot be imported.
    monkeypatch.delitem(imported_classes, scheme, raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    line = (
        f"cannot read {scheme}://bucket/image.zarr: {package} is not installed; "
        f"install it with pip install -e '.[{extra}]' in the folder of bigunet"
    )
    with pytest.raises(ImageError, match=f"^{re.escape(line)}$"):
        open_multiscale(f"{scheme}://me:key@bucket/image.zarr")


def test_a_missing_package_without_an_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "adlfs", None)
    with pytest.raises(ImageError, match=r"a package is missing: Install adlfs to access"):
        open_multiscale("abfs://bucket/image.zarr")


@pytest.mark.parametrize("document", [".zgroup", ".zattrs", "0/.zarray"])
def test_metadata_cut_short_anywhere_are_refused(tmp_path: Path, document: str) -> None:
    path = write(tmp_path / "i", ENTRY)
    whole = (path / document).read_bytes()
    for length in range(0, len(whole) - 2, 7):
        (path / document).write_bytes(whole[:length])
        with pytest.raises(ImageError, match=r"cannot read|without multiscales"):
            open_multiscale(path)
