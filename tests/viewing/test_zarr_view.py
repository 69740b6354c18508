"""An image as a zarr for viewers: its voxels, and where they lie."""

from __future__ import annotations

import itertools
import json
import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from bigunet.io.files.opening import open_image
from bigunet.io.images.units import scale_um
from bigunet.viewing import zarr_view
from bigunet.viewing.zarr_view import ZarrView, viewed_type

AXES = ["yx", "xy", "zyx", "cyx", "tczyx", "yxc"]


@contextmanager
def stored(view: ZarrView) -> Iterator[Path]:
    """All bytes of a view in a folder, as a viewer would get them."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "view.zarr")
        for key in keys_of(view):
            content = view.get(key)
            assert content is not None
            path = root / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        yield root


def keys_of(view: ZarrView) -> Iterator[str]:
    yield "zarr.json"
    for level in range(len(view.image.levels)):
        yield f"{level}/zarr.json"
        array = json.loads(view.get(f"{level}/zarr.json") or b"")
        chunk = array["chunk_grid"]["configuration"]["chunk_shape"]
        grid = [math.ceil(n / m) for n, m in zip(array["shape"], chunk)]
        for index in itertools.product(*map(range, grid)):
            yield f"{level}/c/" + "/".join(map(str, index))


@settings(max_examples=8)
@given(
    axes=st.sampled_from(AXES),
    sides=st.tuples(st.integers(3, 9), st.integers(3, 9)),
    data=st.data(),
)
def test_zarr_reads_from_the_view_what_the_image_holds(
    write_image: Any, axes: str, sides: tuple[int, int], data: st.DataObject
) -> None:
    shape = tuple(data.draw(st.integers(1, 10), label=a) if a != "c" else 2 for a in axes)
    several = "c" in axes and data.draw(st.booleans(), label="several channels")
    with tempfile.TemporaryDirectory() as folder:
        place = {"scale": [0.5 + k for k in range(len(axes))], "translation": [3.0] * len(axes)}
        pixels = write_image(
            Path(folder, "i.zarr"), axes, version="0.5", shape=shape, metadata=place,
            chunks=tuple(max(1, n // 2) for n in shape),
        )  # fmt: skip
        image = open_image(Path(folder, "i.zarr"))
        view = ZarrView(image, (0, 1) if several else (0,))
        with mock.patch.multiple(zarr_view, _PLANE=sides[0], _CUBE=sides[1]), stored(view) as root:
            array = np.asarray(zarr.open_group(root, mode="r")["0"])
            seen = None if several else open_image(root)
    order = [a for a in "ctzyx" if a in axes]
    ordered = pixels.transpose([axes.index(a) for a in order])
    expected = ordered if several else ordered[0] if "c" in axes else ordered
    np.testing.assert_array_equal(array, expected, strict=True)
    if seen is not None:
        assert seen.volume_scale() == image.volume_scale()
        assert seen.volume_translation() == image.volume_translation()
        assert scale_um(seen, 0) == scale_um(image, 0)


@pytest.mark.parametrize(
    "key",
    ["", "c/0/0", "0", "0/c", "0/c/0", "0/c/0/0/0", "1/c/0/0", "1/zarr.json", "0/c/2/0", "0/c/-1/0",
     "0/c/0/0/", "../zarr.json", ".zattrs", "0/c/0/²"],
)  # fmt: skip
def test_a_key_that_the_array_does_not_have_has_no_bytes(
    tmp_path: Path, write_image: Any, key: str
) -> None:
    write_image(tmp_path / "i.zarr", "yx", shape=(20, 10))
    view = ZarrView(open_image(tmp_path / "i.zarr"))
    with mock.patch.object(zarr_view, "_PLANE", 10):
        assert view.get("0/c/1/0") is not None
        assert view.get(key) is None


@pytest.mark.parametrize(
    ("dtype", "is_label", "seen"),
    [
        ("bool", False, "uint8"),
        ("int64", False, "float32"),
        ("int64", True, "uint64"),
        ("int16", True, "uint16"),
        ("int16", False, "int16"),
        ("float64", False, "float32"),
        ("uint64", True, "uint64"),
    ],
)
def test_a_viewer_gets_types_that_it_knows(dtype: str, is_label: bool, seen: str) -> None:
    assert viewed_type(dtype, is_label=is_label) == np.dtype(seen)


def test_large_ids_stay_exact_and_negative_ones_are_background(tmp_path: Path) -> None:
    ids = np.array([[2**60 + 1, -3], [0, 7]])
    zarr.save_array(tmp_path / "ids.zarr", ids)
    view = ZarrView(open_image(tmp_path / "ids.zarr"), is_label=True)
    content = view.get("0/c/0/0") or b""
    assert np.frombuffer(content, "<u8").tolist() == [2**60 + 1, 0, 0, 7]


def test_units_become_micrometres_and_seconds(tmp_path: Path, write_image: Any) -> None:
    write_image(tmp_path / "i.zarr", "tyx", metadata={"scale": [2.0, 500.0, 500.0]})
    attributes = json.loads((tmp_path / "i.zarr/.zattrs").read_text())
    for axis, unit in zip(attributes["multiscales"][0]["axes"], ["minute", "nm", "nanometers"]):
        axis["unit"] = unit
    (tmp_path / "i.zarr/.zattrs").write_text(json.dumps(attributes))
    view = ZarrView(open_image(tmp_path / "i.zarr"))
    (multiscale,) = json.loads(view.get("zarr.json") or b"")["attributes"]["ome"]["multiscales"]
    assert [axis["unit"] for axis in multiscale["axes"]] == ["second", "micrometer", "micrometer"]
    (scale, _) = multiscale["datasets"][0]["coordinateTransformations"]
    assert scale["scale"] == [120.0, 0.5, 0.5]
