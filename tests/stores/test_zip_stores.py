"""Zipped zarrs have the voxels of the folder; other and damaged archives are errors of one line."""

from __future__ import annotations

import pickle
import random
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import zarr
from support.web import served

from bigunet.errors import ImageError
from bigunet.geometry import Box
from bigunet.io.images.discovery import open_multiscale
from bigunet.io.images.occupancy import StoredChunks
from bigunet.io.images.volume import VolumeReader
from bigunet.stores.access import find_node

WriteImage = Callable[..., np.ndarray]
SIZE = 60
WHOLE = Box((0, 0), (SIZE, SIZE))


def zipped(folder: Path, target: Path, *, top: str = "", method: int = zipfile.ZIP_STORED) -> Path:
    """Pack a folder into an archive, with the root's ``zarr.json`` first, as RFC-9 says."""
    files = sorted(
        (path for path in folder.rglob("*") if path.is_file()),
        key=lambda path: (path.name != "zarr.json", len(path.parts), path),
    )
    with zipfile.ZipFile(target, "w", method) as archive:
        for path in files:
            with archive.open(top + str(path.relative_to(folder)), "w", force_zip64=True) as file:
                file.write(path.read_bytes())
        archive.comment = b'{"ome": {"version": "0.5", "zipFile": {"centralDirectory": {}}}}'
    return target


def read(url: str | Path, box: Box = WHOLE) -> np.ndarray:
    return VolumeReader(open_multiscale(url)).read(box)[0]


@pytest.fixture
def folder(tmp_path: Path, write_image: WriteImage) -> tuple[Path, np.ndarray]:
    path = tmp_path / "cells.ome.zarr"
    voxels = write_image(path, "yx", version="0.5", shape=(SIZE, SIZE), chunks=(16, 16))
    return path, voxels


@pytest.mark.parametrize("name", ["cells.zarr.zip", "cells.ozx", "CELLS.ZIP", "anything"])
@pytest.mark.parametrize("top", ["", "cells.ome.zarr/"])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zipped_image_has_the_voxels_of_its_folder(
    folder: tuple[Path, np.ndarray], tmp_path: Path, name: str, top: str, method: int
) -> None:
    target = zipped(folder[0], tmp_path / name, top=top, method=method)
    np.testing.assert_array_equal(read(target), folder[1])
    np.testing.assert_array_equal(read(target / "0"), folder[1])
    np.testing.assert_array_equal(read(target, Box((3, 3), (9, 40))), folder[1][3:9, 3:40])
    if name == "cells.ozx":
        with served(tmp_path) as url:
            np.testing.assert_array_equal(read(f"{url}/{name}?sig=1"), folder[1])
            np.testing.assert_array_equal(read(f"{url}/{name}/0?sig=1"), folder[1])


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("shards", [None, (32, 32)])
def test_parts_of_shards_and_absent_chunks_are_those_of_the_folder(
    tmp_path: Path, zarr_format: int, shards: tuple[int, int] | None
) -> None:
    if zarr_format == 2 and shards:
        pytest.skip("zarr 2 has no shards")
    voxels = np.random.default_rng(0).integers(1, 99, (64, 64)).astype("uint16")
    voxels[:32, :32] = 0
    zarr.create_array(
        tmp_path / "a", data=voxels, chunks=(16, 16), shards=shards, zarr_format=zarr_format
    )
    target = zipped(tmp_path / "a", tmp_path / "a.zip")
    for box in (Box((0, 0), (64, 64)), Box((30, 5), (36, 60)), Box((0, 0), (9, 9))):
        np.testing.assert_array_equal(read(target, box), read(tmp_path / "a", box))
    is_stored = StoredChunks(open_multiscale(target)).read(Box((0, 0), (64, 64)))
    assert np.array_equal(is_stored, np.arange(64)[:, None] // 32 + np.arange(64) // 32 > 0)


def test_an_archive_that_zarr_wrote_is_read(tmp_path: Path) -> None:
    voxels = np.arange(SIZE * SIZE).reshape(SIZE, SIZE).astype("uint16")
    store = zarr.storage.ZipStore(tmp_path / "a.zarr.zip", mode="w")
    zarr.create_array(store, data=voxels, chunks=(16, 16))
    store.close()
    np.testing.assert_array_equal(read(tmp_path / "a.zarr.zip"), voxels)


def test_threads_and_other_processes_share_an_archive(
    folder: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    target = zipped(folder[0], tmp_path / "a.zip", method=zipfile.ZIP_DEFLATED)
    reader = VolumeReader(open_multiscale(target))
    reader.read(WHOLE)
    reader = pickle.loads(pickle.dumps(reader))
    boxes = [Box((k % 40, k % 7), (k % 40 + 9, k % 7 + 30)) for k in range(200)]
    with ThreadPoolExecutor(8) as pool:
        for box, values in zip(boxes, pool.map(reader.read, boxes)):
            np.testing.assert_array_equal(values[0], folder[1][box.within(WHOLE)])


def test_an_archive_that_is_written_again_is_read_again(
    folder: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    target = zipped(folder[0], tmp_path / "a.zip")
    reader = VolumeReader(open_multiscale(target))
    reader.read(Box((0, 0), (1, 1)))
    other = np.full((SIZE, SIZE), 3, "uint8")
    zarr.open_array(folder[0] / "0", mode="r+")[...] = other
    zipped(folder[0], target)
    np.testing.assert_array_equal(read(target), other)
    with pytest.raises(ImageError, match="changed while it was read"):
        reader.read(WHOLE)


def test_an_archive_cut_short_or_changed_anywhere_gives_an_error_or_the_right_voxels(
    folder: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    whole = zipped(folder[0], tmp_path / "a.zip").read_bytes()
    # A damaged name cannot be recognised, because there is nothing to compare it with.
    directory = whole.index(b"PK\x01\x02")
    chooser = random.Random(0)
    refused = 0
    for number in range(60):
        damaged = bytearray(whole)
        if number % 2:
            del damaged[chooser.randrange(4, len(whole)) :]
        else:
            damaged[chooser.randrange(4, directory)] ^= 0xFF
        target = tmp_path / f"{number}.zip"
        target.write_bytes(damaged)
        try:
            np.testing.assert_array_equal(read(target), folder[1])
        except ImageError:
            refused += 1
    assert refused >= 30


def test_a_directory_that_lacks_a_file_is_refused(
    folder: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    target = zipped(folder[0], tmp_path / "a.zip")
    damaged = bytearray(target.read_bytes())
    entry = damaged.index(b"PK\x01\x02")
    damaged[entry + 33] = 1  # so the next entries count as the comment of the first
    target.write_bytes(damaged)
    with pytest.raises(ImageError, match="cut short or damaged"):
        open_multiscale(target)


@pytest.mark.parametrize(
    ("files", "line"),
    [
        (["[Content_Types].xml", "word/document.xml"], "an Office document"),
        (["rdf.yaml", "weights.pt"], "a bioimage.io model package"),
        (["model/rdf.yaml"], "a bioimage.io model package"),
        (["archive/data.pkl", "archive/version"], "a PyTorch file"),
        (["a.npy", "b.npy"], "a numpy file of several arrays"),
        (["photo.tif"], "without a zarr in it: photo.tif"),
        ([], "an empty zip archive"),
        (["a.zarr/zarr.json", "b.zarr/zarr.json"], "several zarrs, .*/a.zarr, .*/b.zarr"),
        (["x/y/a.zarr/.zgroup"], "deep in folders; .*/x/y/a.zarr"),
    ],
)
def test_the_error_for_an_archive_without_a_single_zarr_names_its_content(
    tmp_path: Path, files: list[str], line: str
) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in files:
            archive.writestr(name, b"{}")
    assert find_node(str(tmp_path / "a.zip")) is None
    with pytest.raises(ImageError, match=line):
        open_multiscale(tmp_path / "a.zip")


def test_one_zarr_of_several_is_read_by_its_path_in_the_archive(
    folder: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "both.zip", "w") as archive:
        for top in ("a.zarr", "deep/b.zarr"):
            for path in folder[0].rglob("*"):
                archive.write(path, f"{top}/{path.relative_to(folder[0])}")
        archive.writestr("c.zarr/zarr.json", "{}")
    np.testing.assert_array_equal(read(tmp_path / "both.zip/a.zarr"), folder[1])
    np.testing.assert_array_equal(read(tmp_path / "both.zip/deep/b.zarr/0"), folder[1])
