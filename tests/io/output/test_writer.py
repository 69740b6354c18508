"""Laws of written blocks: each level equals the levels of the whole array."""

from __future__ import annotations

import errno
import pickle
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from support.outputs import (
    IMAGE_AXES,
    LABEL_AXES,
    VERSIONS,
    assert_levels_equal,
    blocks,
    fingerprints,
    output_image,
    random_values,
    write_all,
)
from zarr.storage import LocalStore

from bigunet.errors import GeometryError, OutputError
from bigunet.geometry import Box
from bigunet.io.output.arrays import create_arrays
from bigunet.io.output.layout import plan_pyramid
from bigunet.io.output.publish import write_discovery_metadata
from bigunet.io.output.writer import OutputWriter


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("axes", [*LABEL_AXES, "xzy", *IMAGE_AXES])
def test_each_level_equals_downsampling_the_whole_array(
    tmp_path: Path, axes: str, version: str
) -> None:
    output = output_image(tmp_path / "out.zarr", axes, version)
    values = random_values(output)
    write_all(output, values)
    assert len(output.layout.groups) > 1
    assert_levels_equal(output, values)


@settings(max_examples=25, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    block_shape=st.tuples(*[st.sampled_from([4, 6, 8, 16, 32])] * 2),
    chunk=st.sampled_from([2, 4, 8]),
    downsampled=st.sampled_from([(True, True), (False, True)]),
    axes=st.sampled_from(["yx", "xy", "cyx"]),
)
def test_levels_do_not_depend_on_the_block_shape(
    shape: tuple[int, int],
    block_shape: tuple[int, int],
    chunk: int,
    downsampled: tuple[bool, bool],
    axes: str,
) -> None:
    layout = plan_pyramid(
        shape, block_shape, downsampled=downsampled, chunk_limit=(chunk, chunk), smallest=3
    )
    with tempfile.TemporaryDirectory() as folder:
        output = output_image(f"{folder}/out.zarr", axes, layout=layout)
        values = random_values(output)
        write_all(output, values)
        assert_levels_equal(output, values)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("axes", ["zyx", "cyx"])
def test_writing_each_block_twice_gives_the_same_bytes(
    tmp_path: Path, axes: str, version: str
) -> None:
    output = output_image(tmp_path / "out.zarr", axes, version)
    values = random_values(output)
    write_all(output, values)
    once = fingerprints(output.store)
    write_all(output, values)
    assert fingerprints(output.store) == once


@pytest.mark.parametrize("version", VERSIONS)
def test_no_stored_voxel_is_read_when_a_block_is_written(
    tmp_path: Path, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = output_image(tmp_path / "out.zarr", "yx", version)
    values = random_values(output)
    write_all(output, values)
    keys: list[str] = []
    get = LocalStore.get

    async def counted(self: LocalStore, key: str, *args: Any, **kwargs: Any) -> Any:
        keys.append(key.rpartition("/")[2])
        return await get(self, key, *args, **kwargs)

    monkeypatch.setattr(LocalStore, "get", counted)
    writer = OutputWriter(output)
    whole = Box.of_shape(output.layout.shape)
    for block in blocks(output, 0):
        writer.write_block(0, block, values[block.within(whole)])
    assert set(keys) <= {"zarr.json", ".zarray", ".zattrs"}


def test_a_shard_cut_short_is_replaced(tmp_path: Path) -> None:
    output = output_image(tmp_path / "out.zarr", "yx")
    values = random_values(output)
    write_all(output, values)
    for shard in (tmp_path / "out.zarr/labels/classes").glob("*/c/0/0"):
        shard.write_bytes(shard.read_bytes()[:-9])
    write_all(output, values)
    assert_levels_equal(output, values)


def test_a_block_overwritten_with_background_leaves_background(tmp_path: Path) -> None:
    output = output_image(tmp_path / "out.zarr", "yx")
    write_all(output, random_values(output))
    nothing = np.zeros(output.layout.shape, np.uint8)
    write_all(output, nothing)
    assert_levels_equal(output, nothing)
    assert not list((tmp_path / "out.zarr").rglob("c/*/*"))


def test_one_writer_serves_threads_and_survives_pickling(tmp_path: Path) -> None:
    output = output_image(tmp_path / "out.zarr", "yx")
    values = random_values(output)
    create_arrays(output)
    writer = OutputWriter(output)
    whole = Box.of_shape(output.layout.shape)
    first, *others = blocks(output, 0)
    writer.write_block(0, first, values[first.within(whole)])
    copied = pickle.loads(pickle.dumps(writer))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda b: copied.write_block(0, b, values[b.within(whole)]), others))
    for group in range(1, len(output.layout.groups)):
        for block in blocks(output, group):
            copied.downsample_block(group, block)
    assert_levels_equal(output, values)


@pytest.mark.parametrize(
    ("box", "message"),
    [
        (Box((0, 4), (16, 12)), "cuts a shard"),
        (Box((0, 0), (16, 4)), "cuts a shard"),
        (Box((32, 24), (48, 32)), "does not lie in level 0"),  # not clipped at the end
        (Box((0, 0), (0, 8)), "does not lie in level 0"),  # empty
        (Box((0,), (16,)), "does not lie in level 0"),
    ],
)
def test_a_block_that_is_not_whole_shards_is_refused(
    tmp_path: Path, box: Box, message: str
) -> None:
    output = output_image(tmp_path / "out.zarr", "yx")
    create_arrays(output)
    with pytest.raises(GeometryError, match=message):
        OutputWriter(output).write_block(0, box, np.zeros(box.shape, np.uint8))


def test_values_of_another_shape_or_dtype_are_refused(tmp_path: Path) -> None:
    output = output_image(tmp_path / "out.zarr", "yx")
    create_arrays(output)
    writer, box = OutputWriter(output), Box((0, 0), (16, 8))
    with pytest.raises(GeometryError, match="do not fill"):
        writer.write_block(0, box, np.zeros((8, 16), np.uint8))
    with pytest.raises(OutputError, match="convert them first"):
        writer.write_block(0, box, np.zeros((16, 8), np.int64))
    with pytest.raises(GeometryError, match="no level before it"):
        writer.downsample_block(0, box)


def test_a_folder_that_is_removed_before_its_file_is_written_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = output_image(tmp_path / "out.zarr", "yx")
    create_arrays(output)
    put, removed = LocalStore.set, []

    async def removed_once(self: LocalStore, key: str, value: Any) -> None:
        if not removed:
            removed.append(key)
            raise FileNotFoundError(errno.ENOENT, "No such file or directory")
        await put(self, key, value)

    monkeypatch.setattr(LocalStore, "set", removed_once)
    values = np.ones((16, 8), np.uint8)
    OutputWriter(output).write_block(0, Box((0, 0), (16, 8)), values)
    assert removed
    stored = zarr.open_array(f"{output.store}/{output.group}/0", mode="r")
    np.testing.assert_array_equal(stored[:16, :8], values)


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (errno.ENOSPC, "free space there"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "change its permissions"),
        (errno.EIO, "see that the place exists"),
    ],
)
def test_a_failure_to_write_says_where_and_what_to_do(
    tmp_path: Path, code: int, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = output_image(tmp_path / "out.zarr", "yx")
    create_arrays(output)

    async def failing(self: LocalStore, key: str, value: Any) -> None:
        raise OSError(code, "no luck")

    monkeypatch.setattr(LocalStore, "set", failing)
    with pytest.raises(OutputError, match=f"labels/classes/0: no luck; .*{advice}") as caught:
        OutputWriter(output).write_block(0, Box((0, 0), (16, 8)), np.ones((16, 8), np.uint8))
    assert isinstance(caught.value.__cause__, OSError)
    with pytest.raises(OutputError, match=advice):
        write_discovery_metadata([output], provenance={})
