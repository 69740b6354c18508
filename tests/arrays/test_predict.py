"""Laws of predict: the voxels of an array give what segment writes for a zarr that holds them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import xarray as xr
import zarr
from distributed import Client
from hypothesis import example, given, settings
from hypothesis import strategies as st

import bigunet
from bigunet import Prediction
from bigunet.arrays.given_array import GivenArray
from bigunet.measuring.table_reading import read_table

EXTENTS = {"t": 2, "c": 2, "z": 2, "y": 21, "x": 37}
OUTPUTS = ("classes", "probabilities", "instances")
OPTIONS: dict[str, Any] = {"outputs": OUTPUTS, "object_class": "class 1", "border_class": "none"}

CONTAINERS: dict[str, Any] = {
    "numpy": lambda voxels, axes: (voxels, axes),
    "dask": lambda voxels, axes: (da.from_array(voxels, chunks=16), axes),
    "dask with a chunk of no voxel": lambda voxels, axes: (
        da.from_array(voxels, chunks=(*((n,) for n in voxels.shape[:-1]), (0, 20, 0, 17))), axes
    ),
    "xarray of dask": lambda voxels, axes: (
        xr.DataArray(da.from_array(voxels, chunks=20), dims=list(axes)), None
    ),
    "zarr": lambda voxels, axes: (zarr.array(voxels, chunks=(15,) * voxels.ndim), axes),
}  # fmt: skip


def noise(axes: str, dtype: str = "u1") -> np.ndarray:
    shape = tuple(EXTENTS[axis] for axis in axes)
    return np.random.default_rng(len(axes)).integers(0, 256, shape).astype(dtype)


def stored(store: Path, group: str) -> np.ndarray:
    return np.asarray(zarr.open_array(store / group / "0", mode="r")[...])


def segmented(voxels: np.ndarray, axes: str, store: Path, **given: Any) -> bigunet.SegmentReport:
    """What segment makes of a zarr that was written without bigunet."""
    array = zarr.create_array(
        store / "in.zarr", shape=voxels.shape, chunks=voxels.shape, dtype=voxels.dtype,
        dimension_names=list(axes), config={"write_empty_chunks": True},
    )  # fmt: skip
    array[...] = voxels
    return bigunet.segment(store / "in.zarr", store / "out.zarr", **given)


def in_order(values: np.ndarray, axes: str, *, classes: bool) -> np.ndarray:
    """An output of segment, which has time first, in the order of the input's axes."""
    kept = axes.replace("c", "")
    first = "t" * ("t" in kept)
    own = first + "c" * classes + "".join(axis for axis in kept if axis != "t")
    return values.transpose([own.index(axis) for axis in "c" * classes + kept])


def assert_is_what_segment_wrote(made: Prediction, axes: str, store: Path) -> None:
    for name, group in (("classes", "labels/classes"), ("instances", "labels/instances")):
        written = in_order(stored(store, group), axes, classes=False)
        np.testing.assert_array_equal(np.asarray(getattr(made, name)), written, strict=True)
    scores = in_order(stored(store, "probabilities"), axes, classes=True)
    np.testing.assert_array_equal(np.asarray(made.probabilities), scores, strict=True)
    table = read_table(store / "tables/instances/table.parquet")
    assert made.table is not None
    assert table.keys() == made.table.keys()
    for name, column in table.items():
        np.testing.assert_array_equal(made.table[name], column, strict=True)


@st.composite
def orders(draw: st.DrawFn) -> str:
    others = draw(st.sets(st.sampled_from("tcz"), max_size=1))
    return "".join(draw(st.permutations(["y", "x", *sorted(others)])))


@settings(max_examples=1)
@example(axes="yxt", kind="numpy")
@given(axes=orders(), kind=st.sampled_from([k for k in CONTAINERS if "no voxel" not in k]))
def test_any_array_of_any_axes_gives_what_segment_writes(
    axes: str, kind: str, tiny_model: Path, client: Client
) -> None:
    voxels = noise(axes, "u2")
    given = {"model": tiny_model, "client": client, "channels": [axes.count("c")], **OPTIONS}
    if "c" not in axes:
        del given["channels"]
    with tempfile.TemporaryDirectory() as folder:
        segmented(voxels, axes, Path(folder), **given)
        array, stated = CONTAINERS[kind](voxels, axes)
        made = bigunet.predict(array, axes=stated, **given)
        assert_is_what_segment_wrote(made, axes, Path(folder) / "out.zarr")
    assert made.classes.shape == tuple(EXTENTS[axis] for axis in axes if axis != "c")


@pytest.fixture(scope="module")
def written(tiny_model: Path, client: Client, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What segment wrote for a small stack."""
    folder = tmp_path_factory.mktemp("written")
    segmented(noise("zyx"), "zyx", folder, model=tiny_model, client=client, **OPTIONS)
    return folder / "out.zarr"


@pytest.mark.parametrize("kind", CONTAINERS)
def test_each_kind_of_array_gives_the_same(
    kind: str, tiny_model: Path, client: Client, written: Path
) -> None:
    array, axes = CONTAINERS[kind](noise("zyx"), "zyx")
    made = bigunet.predict(array, axes=axes, model=tiny_model, client=client, **OPTIONS)
    assert_is_what_segment_wrote(made, "zyx", written)


def test_a_measured_grey_range_does_not_depend_on_what_holds_the_voxels(
    write_model: Any, client: Client, tmp_path: Path
) -> None:
    model = write_model(tmp_path / "measured.safetensors", fixed=False)
    voxels = np.random.default_rng(0).integers(1, 256, (256, 64)).astype("u1")
    voxels[:128] = 0
    voxels[5, 7] = 1
    expected = segmented(voxels, "yx", tmp_path, model=model, client=client)
    made = bigunet.predict(da.from_array(voxels, chunks=64), model, client=client)
    assert made.report.normalisation == expected.normalisation
    np.testing.assert_array_equal(made.classes, stored(tmp_path / "out.zarr", "labels/classes"))


def test_a_region_comes_back_alone(tiny_model: Path, client: Client, tmp_path: Path) -> None:
    voxels = noise("yx")
    roi = {"y": (5, 15), "x": (8, 20)}
    segmented(voxels, "yx", tmp_path, model=tiny_model, client=client, roi=roi)
    array = xr.DataArray(voxels, dims=("y", "x"), coords={"x": np.arange(37) * 2})
    made = bigunet.predict(array, tiny_model, client=client, roi=roi)
    np.testing.assert_array_equal(
        made.classes.values, stored(tmp_path / "out.zarr", "labels/classes")
    )
    assert made.classes.coords["x"].values.tolist() == list(range(16, 40, 2))


def test_what_was_not_asked_for_is_none(tiny_model: Path, client: Client) -> None:
    made = bigunet.predict(noise("yx"), tiny_model, client=client, outputs=["classes"])
    assert (made.probabilities, made.instances, made.table) == (None, None, None)
    assert made.classes.dtype == np.uint8
    assert (made.report.output, made.report.table, made.report.finished) == ("", "", True)


def test_its_repr_is_a_line_with_shape_classes_and_objects(
    tiny_model: Path, client: Client
) -> None:
    made = bigunet.predict(noise("yx"), tiny_model, client=client, **OPTIONS)
    text = repr(made)
    assert text.startswith("<Prediction: shape (21, 37); background ")
    assert f"{made.instances.max()} object" in text
    assert "\n" not in text
    assert len(text) < 200


def test_a_dask_array_is_computed_chunk_by_chunk_and_each_chunk_once(
    tiny_model: Path, client: Client
) -> None:
    seen: list[tuple[int, ...]] = []

    def chunk(block: np.ndarray) -> np.ndarray:
        seen.append(block.shape)
        return block

    array = da.from_array(noise("zyx"), chunks=(1, 21, 20)).map_blocks(
        chunk, meta=np.empty((0, 0, 0), np.uint8)
    )
    parts = [part.shape for _, part in GivenArray.of(array, "zyx", None).parts()]
    assert parts == [(1, 21, 20), (1, 21, 17)] * 2
    seen.clear()
    bigunet.predict(array, tiny_model, axes="zyx", client=client)
    assert sorted(seen) == [(1, 21, 17)] * 2 + [(1, 21, 20)] * 2


def test_what_a_cluster_holds_is_taken_from_it(tiny_model: Path, client: Client) -> None:
    voxels = noise("yx")
    held = da.from_array(voxels, chunks=20).persist()
    plain = bigunet.predict(voxels, tiny_model, client=client)
    np.testing.assert_array_equal(
        bigunet.predict(held, tiny_model, client=client).classes, plain.classes
    )
