"""Laws of kept arrays: each is complete and right, or missing; other files stay untouched."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from bigunet.errors import ImageError, OutputError
from bigunet.geometry import Box
from bigunet.io.output.scratch import ScratchArray

ABOUT = {"labels": "a.tif", "w0": 10.0}
SHAPE, CHUNKS = (7, 10), (3, 4)


def kept_at(
    path: Path, shape: tuple[int, ...] = SHAPE, chunks: tuple[int, ...] = CHUNKS, **about: object
) -> ScratchArray:
    return ScratchArray(path, "zyx"[-len(shape) :], shape, chunks, ABOUT | about)


def voxels_of(shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """Different numbers, after a run of zeros."""
    numbers = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    return np.maximum(0, numbers - numbers.size // 3)


def parts_of(array: ScratchArray, voxels: np.ndarray) -> Iterator[tuple[Box, np.ndarray]]:
    outer = Box.of_shape(voxels.shape)
    for box in array.boxes():
        yield box, voxels[box.within(outer)]


def read(path: Path) -> np.ndarray:
    return np.asarray(zarr.open_array(str(path), mode="r")[...])


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@st.composite
def grids(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """A shape, and a chunk that may be larger."""
    ndim = draw(st.integers(1, 3))
    sides = st.tuples(*[st.integers(1, 9)] * ndim)
    return draw(sides), draw(sides)


@given(grids(), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=30)
def test_the_values_are_read_back_whatever_the_chunks(
    grid: tuple[tuple[int, ...], tuple[int, ...]], random: Random
) -> None:
    shape, chunks = grid
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "new", "a.zarr")
        array, voxels = kept_at(path, shape, chunks), voxels_of(shape)
        parts = list(parts_of(array, voxels))
        random.shuffle(parts)
        assert not array.is_complete()
        array.write(parts)
        assert array.is_complete()
        assert kept_at(path, shape, shape).is_complete()  # the size of the chunks does not matter
        assert names_in(path.parent) == ["a.zarr"]
        np.testing.assert_array_equal(read(path), voxels)


def test_a_complete_array_is_not_computed_again(tmp_path: Path) -> None:
    array = kept_at(tmp_path / "a.zarr")
    array.write(parts_of(array, voxels_of()))

    def never() -> Iterator[tuple[Box, np.ndarray]]:
        raise AssertionError("asked for values")
        yield

    array.write(never())


@pytest.mark.parametrize(
    ("shape", "about"),
    [((7, 10), {"w0": 5.0}), ((7, 9), {})],  # another number; another part of the same labels
)
def test_an_array_with_another_description_is_replaced(
    tmp_path: Path, shape: tuple[int, ...], about: dict[str, object]
) -> None:
    path = tmp_path / "a.zarr"
    first, second = kept_at(path), kept_at(path, shape, **about)
    first.write(parts_of(first, voxels_of()))
    assert not second.is_complete()
    second.write(parts_of(second, voxels_of(shape) + 1))
    assert second.is_complete()
    assert names_in(tmp_path) == ["a.zarr"]
    np.testing.assert_array_equal(read(path), voxels_of(shape) + 1)


@pytest.mark.parametrize(
    "error", [ImageError("unreadable"), KeyboardInterrupt("stopped"), OSError("full")]
)
def test_after_an_interrupted_write_a_later_one_completes_the_array(
    tmp_path: Path, error: BaseException
) -> None:
    path = tmp_path / "a.zarr"
    array = kept_at(path)

    def interrupted() -> Iterator[tuple[Box, np.ndarray]]:
        parts = parts_of(array, voxels_of())
        yield next(parts)
        raise error

    expected = OutputError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected, match=str(error)):
        array.write(interrupted())
    assert not array.is_complete()
    assert names_in(tmp_path) == []
    array.write(parts_of(array, voxels_of()))
    assert array.is_complete()
    np.testing.assert_array_equal(read(path), voxels_of())


def test_an_array_is_not_complete_if_a_chunk_was_not_written(tmp_path: Path) -> None:
    array = kept_at(tmp_path / "a.zarr")
    with pytest.raises(OutputError, match="lost chunks while it was written"):
        array.write(list(parts_of(array, voxels_of()))[1:])
    assert not array.is_complete()
    assert names_in(tmp_path) == []


def test_an_array_that_lost_a_chunk_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    array = kept_at(path)
    array.write(parts_of(array, voxels_of()))
    (path / "c" / "1" / "1").unlink()
    assert not array.is_complete()
    array.write(parts_of(array, voxels_of()))
    np.testing.assert_array_equal(read(path), voxels_of())


def test_an_array_without_the_mark_is_not_complete(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    array = kept_at(path)
    array.write(parts_of(array, voxels_of()))
    attributes = zarr.open_array(str(path), mode="r+").attrs
    ((key, mark),) = attributes.asdict().items()
    attributes[key] = {**mark, "complete": False}
    assert not array.is_complete()


def test_writers_at_the_same_time_all_end_with_the_right_values(tmp_path: Path) -> None:
    path, barrier = tmp_path / "a.zarr", threading.Barrier(4)

    def write(_: int) -> np.ndarray:
        array = kept_at(path)

        def together() -> Iterator[tuple[Box, np.ndarray]]:
            for part in parts_of(array, voxels_of()):
                assert not array.is_complete()  # no writer is past this point
                barrier.wait(60)
                yield part

        array.write(together())
        assert array.is_complete()
        return read(path)

    with ThreadPoolExecutor(4) as threads:
        for voxels in threads.map(write, range(4)):
            np.testing.assert_array_equal(voxels, voxels_of())
    assert names_in(tmp_path) == ["a.zarr"]


def test_the_second_writer_keeps_the_array_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    first, second = kept_at(path), kept_at(path)

    def overtaken() -> Iterator[tuple[Box, np.ndarray]]:
        yield from parts_of(second, voxels_of())
        first.write(parts_of(first, voxels_of()))
        inodes.append(path.stat().st_ino)

    inodes: list[int] = []
    second.write(overtaken())
    assert inodes == [path.stat().st_ino]
    assert names_in(tmp_path) == ["a.zarr"]
    np.testing.assert_array_equal(read(path), voxels_of())


def put_something_else(path: Path, kind: str) -> None:
    if kind == "file":
        path.write_text("mine")
    elif kind == "folder":
        path.mkdir()
        (path / "mine.txt").write_text("mine")
    elif kind == "broken":
        path.mkdir()
        (path / "zarr.json").write_text("{")
    elif kind == "group":
        zarr.create_group(str(path)).create_array("0", shape=SHAPE, dtype="float32")[...] = 1
    else:
        array = zarr.create_array(str(path), shape=SHAPE, dtype="float32")
        array[...] = 1
        array.attrs["mine"] = True


@pytest.mark.parametrize("moment", ["before", "meanwhile"])
@pytest.mark.parametrize("kind", ["array", "group", "broken", "folder", "file"])
def test_a_path_of_another_program_is_neither_removed_nor_complete(
    tmp_path: Path, kind: str, moment: str
) -> None:
    path = tmp_path / "a.zarr"
    array = kept_at(path)

    def values() -> Iterator[tuple[Box, np.ndarray]]:
        if moment == "meanwhile":
            put_something_else(path, kind)
        yield from parts_of(array, voxels_of())

    if moment == "before":
        put_something_else(path, kind)
    beside = tmp_path / "beside"
    beside.mkdir()
    put_something_else(beside / "a.zarr", kind)
    line = "is no array that bigunet keeps" if moment == "before" else "cannot write"
    with pytest.raises(OutputError, match=rf"a\.zarr.*{line}|{line} .*a\.zarr"):
        array.write(values())
    assert not array.is_complete()
    assert names_in(tmp_path) == ["a.zarr", "beside"]
    assert contents(path) == contents(beside / "a.zarr")


def contents(path: Path) -> dict[str, bytes]:
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    return {str(p.relative_to(path)): p.read_bytes() for p in files}


def dead_process() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


@pytest.mark.parametrize(
    ("name", "removed"),
    [
        (".a.zarr.{host}-{dead}-0123abcd.partial", True),
        (".a.zarr.{host}-{alive}-0123abcd.partial", False),  # its process is alive
        (".a.zarr.other{host}-{dead}-0123abcd.partial", False),  # of another machine
        (".b.zarr.{host}-{dead}-0123abcd.partial", False),  # of another array
        (".a.zarr.{host}-{dead}-mine.partial", False),  # no name that bigunet gives
    ],
)
def test_partial_arrays_of_dead_processes_are_removed(
    tmp_path: Path, name: str, removed: bool
) -> None:
    numbers = {"host": platform.node(), "dead": dead_process(), "alive": os.getpid()}
    partial = tmp_path / name.format(**numbers)
    put_something_else(partial, "folder")
    array = kept_at(tmp_path / "a.zarr")
    array.write(parts_of(array, voxels_of()))
    assert partial.exists() == (not removed)
    assert array.is_complete()


def test_an_array_that_loses_its_partial_files_does_not_become_complete(
    tmp_path: Path,
) -> None:
    array = kept_at(tmp_path / "a.zarr")

    def swept() -> Iterator[tuple[Box, np.ndarray]]:
        parts = parts_of(array, voxels_of())
        yield next(parts)
        for partial in tmp_path.glob(".*.partial"):
            shutil.rmtree(partial)
        yield from parts

    with pytest.raises(OutputError, match="lost chunks while it was written"):
        array.write(swept())
    assert not array.is_complete()


def test_after_a_killed_write_a_later_one_completes_the_array(tmp_path: Path) -> None:
    program = (
        "import os, sys, numpy as np; from pathlib import Path\n"
        "from bigunet.io.output.scratch import ScratchArray\n"
        f"array = ScratchArray(Path(sys.argv[1]), 'yx', {SHAPE}, {CHUNKS}, {ABOUT})\n"
        "def values():\n"
        "    yield next(array.boxes()), np.ones((3, 4))\n"
        "    os.kill(os.getpid(), 9)\n"
        "array.write(values())\n"
    )
    path = tmp_path / "a.zarr"
    done = subprocess.run([sys.executable, "-c", program, path], timeout=120)
    assert done.returncode != 0
    assert [name.endswith(".partial") for name in names_in(tmp_path)] == [True]
    array = kept_at(path)
    assert not array.is_complete()
    array.write(parts_of(array, voxels_of()))
    assert names_in(tmp_path) == ["a.zarr"]
    np.testing.assert_array_equal(read(path), voxels_of())
