"""Local folders: unusual names, paths that are no regular files, metadata that are too large."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zarr

from bigunet.errors import ImageError
from bigunet.geometry import Box
from bigunet.io.images.discovery import open_multiscale
from bigunet.io.images.occupancy import StoredChunks
from bigunet.io.images.volume import VolumeReader
from bigunet.stores.access import find_node
from bigunet.stores.checked_store import MAX_METADATA_BYTES

WriteImage = Callable[..., np.ndarray]
WHOLE = Box((0, 0), (20, 30))
NAMES = [
    "a::b.zarr",
    "memory::x.zarr",
    "a#b.zarr",
    "a?b=c.zarr",
    "a%20b.zarr",
    "a b.zarr",
    "zellkörper-细胞.zarr",
    "a'b\"c.zarr",
    "a[1]{2}*.zarr",
    "c:.zarr",
    "~.zarr",
    "a@b.zarr",
    "trailing. ",
]


def read(url: str | Path) -> np.ndarray:
    return VolumeReader(open_multiscale(url)).read(WHOLE)[0]


@pytest.mark.parametrize("name", NAMES)
def test_a_local_path_may_hold_any_character(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_image: WriteImage, name: str
) -> None:
    voxels = write_image(tmp_path / name, "yx", version="0.5", shape=(20, 30))
    monkeypatch.chdir(tmp_path)
    for url in (tmp_path / name, f"{tmp_path}/{name}///", f"./{name}", name, f"{name}/0"):
        np.testing.assert_array_equal(read(url), voxels)
    assert open_multiscale(name).url == str(tmp_path / name)


def test_file_urls_and_the_home_folder_are_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_image: WriteImage
) -> None:
    voxels = write_image(tmp_path / "a b.zarr", "yx", shape=(20, 30))
    monkeypatch.setenv("HOME", str(tmp_path))
    place = str(tmp_path).replace(" ", "%20")
    for url in (
        f"file://{place}/a%20b.zarr",
        f"file://{tmp_path}/a b.zarr/",
        f"file://localhost{place}/a%20b.zarr",
        f"file:{place}/a%20b.zarr",
        "~/a b.zarr",
    ):
        np.testing.assert_array_equal(read(url), voxels)
    with pytest.raises(ImageError, match="another machine's file"):
        open_multiscale("file://host/a.zarr")


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    # The path of a socket may have about 100 characters only.
    here = os.getcwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _folder(path: Path) -> None:
    path.mkdir()


KINDS = [
    (_pipe, "a named pipe"),
    (_socket, "a socket"),
    (_device, "a device"),
    (_folder, "a folder"),
]


@pytest.mark.timeout(30)
@pytest.mark.parametrize(("make", "line"), KINDS)
@pytest.mark.parametrize(
    "name", ["zarr.json", "0/zarr.json", "0/c/0/1", ".zarray", ".zgroup", "0/.zarray"]
)
def test_a_path_that_is_no_regular_file_is_refused_without_waiting(
    tmp_path: Path, write_image: WriteImage, make: Callable[[Path], None], line: str, name: str
) -> None:
    path = tmp_path / "i.zarr"
    version = "0.4" if name.rpartition("/")[2].startswith(".z") else "0.5"
    write_image(path, "yx", version=version, shape=(20, 30), chunks=(20, 15))
    (path / name).unlink(missing_ok=True)
    make(path / name)
    for look in (read, lambda url: StoredChunks(open_multiscale(url)).read(WHOLE)):
        with pytest.raises(ImageError, match=f"{name} is {line}"):
            look(path)


@pytest.mark.timeout(30)
@pytest.mark.parametrize(("make", "line"), KINDS[:3])
def test_a_pipe_or_device_given_as_image_is_named(
    tmp_path: Path, make: Callable[[Path], None], line: str
) -> None:
    make(tmp_path / "x.zarr")
    with pytest.raises(ImageError, match=f"x.zarr is {line}, not an image"):
        open_multiscale(tmp_path / "x.zarr")


def test_metadata_that_are_too_large_too_deep_or_too_long_are_refused_in_one_line(
    tmp_path: Path,
) -> None:
    zarr.open_group(str(tmp_path / "g"), mode="w", zarr_format=3)
    document = tmp_path / "g/zarr.json"
    plain = json.loads(document.read_text())
    whole = json.dumps(plain | {"attributes": {"a": "?"}})
    with open(document, "r+b") as file:
        file.truncate(MAX_METADATA_BYTES + 1)  # a sparse file, which takes no space
    with pytest.raises(ImageError, match=r"zarr.json has 64,000,001 bytes"):
        find_node(str(tmp_path / "g"))
    for value, line in (("[" * 100_000, "nested"), ("9" * 5000, "digits")):
        document.write_text(whole.replace('"?"', value))
        with pytest.raises(ImageError, match=line) as caught:
            find_node(str(tmp_path / "g"))
        assert len(str(caught.value)) - len(str(tmp_path)) <= 200
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://", "https:///a.zarr", "s3://", "s3:///bucket/a.zarr"])
def test_an_address_without_a_host_is_refused_at_once(url: str) -> None:
    with pytest.raises(ImageError, match="names no host or bucket; give a whole one"):
        open_multiscale(url)
