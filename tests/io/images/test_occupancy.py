"""Laws of stored chunks: missing chunks are recognised, whatever the axes, chunks and shards."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from bigunet.errors import GeometryError, ImageError
from bigunet.geometry import Box
from bigunet.io.images.discovery import open_multiscale
from bigunet.io.images.occupancy import StoredChunks

TYPES = {"t": "time", "c": "channel"}


def write_some_chunks(
    path: Path, axes: str, shape: tuple[int, ...], stored: np.ndarray, **storage: Any
) -> None:
    """An OME-Zarr image in which only the chunks that ``stored`` names are written."""
    version = storage.pop("zarr_format")
    group = zarr.open_group(str(path), mode="w", zarr_format=version)
    array = group.create_array("0", shape=shape, dtype="uint8", **storage)
    for index in np.argwhere(stored):
        part = tuple(slice(i * n, (i + 1) * n) for i, n in zip(index, array.chunks))
        array[part] = 7
    entries = [{"name": a, "type": TYPES.get(a, "space")} for a in axes]
    scale = {"type": "scale", "scale": [1.0] * len(axes)}
    levels = [{"path": "0", "coordinateTransformations": [scale]}]
    image: dict[str, Any] = {"axes": entries, "datasets": levels}
    if version == 2:
        group.attrs["multiscales"] = [image | {"version": "0.4"}]
    else:
        group.attrs["ome"] = {"version": "0.5", "multiscales": [image]}


@st.composite
def images(draw: st.DrawFn) -> dict[str, Any]:
    """Images with axes in any order, with or without shards, and the chunks that are stored."""
    extra = draw(st.sets(st.sampled_from("tcz")))
    axes = "".join(draw(st.permutations(["y", "x", *sorted(extra)])))
    chunks = tuple(draw(st.integers(1, 3)) for _ in axes)
    shape = tuple(draw(st.integers(1, 7)) for _ in axes)
    grid = tuple(-(-n // c) for n, c in zip(shape, chunks))
    flags = draw(st.lists(st.booleans(), min_size=7, max_size=7))
    stored = np.resize(np.array(flags), grid)
    storage: dict[str, Any] = {"chunks": chunks, "zarr_format": draw(st.sampled_from((2, 3)))}
    if storage["zarr_format"] == 3 and draw(st.booleans()):
        storage["shards"] = tuple(c * draw(st.integers(1, 3)) for c in chunks)
    channels = shape[axes.index("c")] if "c" in axes else 1
    chosen = draw(st.lists(st.integers(0, channels - 1), min_size=1, max_size=2))
    return {"axes": axes, "shape": shape, "stored": stored, "chosen": chosen, "storage": storage}


def expected_voxels(image: dict[str, Any]) -> np.ndarray:
    """Whether voxels are stored, in canonical order, without channels."""
    axes, voxels = image["axes"], image["stored"]
    for axis, (chunk, size) in enumerate(zip(image["storage"]["chunks"], image["shape"])):
        voxels = voxels.repeat(chunk, axis=axis).take(range(size), axis=axis)
    if "c" in axes:
        voxels = voxels.take(image["chosen"], axis=axes.index("c")).any(axis=axes.index("c"))
        axes = axes.replace("c", "")
    return voxels.transpose([axes.index(a) for a in "tzyx" if a in axes])


@settings(deadline=None)
@given(images(), st.data())
def test_a_voxel_is_stored_if_its_chunk_is_stored(
    tmp_path_factory: pytest.TempPathFactory, image: dict[str, Any], data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("image") / "in.zarr"
    write_some_chunks(path, image["axes"], image["shape"], image["stored"], **image["storage"])
    expected = expected_voxels(image)
    ends = [sorted((data.draw(st.integers(0, n - 1)), n)) for n in expected.shape]
    box = Box(tuple(a for a, _ in ends), tuple(b for _, b in ends))
    chunks = StoredChunks(open_multiscale(path), channels=image["chosen"])
    is_stored = pickle.loads(pickle.dumps(chunks)).read(box)
    np.testing.assert_array_equal(is_stored, expected[box.within(Box.of_shape(expected.shape))])


def test_shards_without_a_plain_index_count_as_stored(tmp_path: Path) -> None:
    stored = np.array([[True, False]])
    codec = zarr.codecs.ShardingCodec(
        chunk_shape=(4, 4), index_codecs=[zarr.codecs.BytesCodec(endian="big")]
    )
    path = tmp_path / "in.zarr"
    array = zarr.create_array(str(path), shape=(4, 8), chunks=(4, 8), dtype="uint8", filters=None,
        compressors=None, serializer=codec)  # fmt: skip
    array[:, :4] = stored[0, 0]
    assert StoredChunks(open_multiscale(path)).read(Box.of_shape((4, 8))).all()


def test_an_index_may_be_at_the_start_of_a_shard(tmp_path: Path) -> None:
    codec = zarr.codecs.ShardingCodec(chunk_shape=(4, 4), index_location="start")
    path = tmp_path / "in.zarr"
    array = zarr.create_array(str(path), shape=(4, 8), chunks=(4, 8), dtype="uint8", filters=None,
        compressors=None, serializer=codec)  # fmt: skip
    array[:, 4:] = 1
    is_stored = StoredChunks(open_multiscale(path)).read(Box.of_shape((4, 8)))
    assert is_stored[:, 4:].all()
    assert not is_stored[:, :4].any()


def test_a_box_outside_the_volume_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "in.zarr"
    zarr.create_array(str(path), shape=(4, 4), dtype="uint8")
    chunks = StoredChunks(open_multiscale(path))
    with pytest.raises(GeometryError, match="does not lie in the volume"):
        chunks.read(Box((0, 0), (4, 5)))


def test_a_store_that_was_removed_is_an_error_of_one_line(tmp_path: Path) -> None:
    path = tmp_path / "in.zarr"
    zarr.create_array(str(path), shape=(4, 4), dtype="uint8")
    chunks = StoredChunks(open_multiscale(path))
    path.rename(tmp_path / "elsewhere.zarr")
    with pytest.raises(ImageError, match=r"array '' of .*in\.zarr is missing"):
        chunks.read(Box.of_shape((4, 4)))
