"""Images on servers: a missing file has the fill value; each other failure is an error line."""

from __future__ import annotations

import asyncio
import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import zarr
from aiohttp import ClientSession
from support.web import LOGIN_PAGE, Answer, served

from bigunet.errors import ImageError
from bigunet.geometry import Box
from bigunet.io.images.discovery import open_multiscale
from bigunet.io.images.identity import content_of
from bigunet.io.images.occupancy import StoredChunks
from bigunet.io.images.volume import VolumeReader
from bigunet.stores.remote_store import RemoteFiles

WHOLE = Box((0, 0), (32, 32))
SHARDS = [None, (16, 16)]


def stored(path: Path, *, shards: tuple[int, int] | None = None) -> np.ndarray:
    """An array of 4 x 4 chunks; the file of chunk 1, 1 is not stored."""
    voxels = np.random.default_rng(0).integers(1, 99, (32, 32)).astype("uint16")
    side = 16 if shards else 8
    voxels[side : 2 * side, side : 2 * side] = 7
    zarr.create_array(str(path), data=voxels, chunks=(8, 8), shards=shards, fill_value=7)
    assert not (path / "c/1/1").exists()
    return voxels


def read(url: str, box: Box = WHOLE) -> np.ndarray:
    return VolumeReader(open_multiscale(url)).read(box)[0]


@pytest.mark.parametrize("shards", SHARDS)
@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "no ranges"])
@pytest.mark.parametrize("query", ["", "?token=a1&sig=b%2F2"])
def test_an_image_on_a_server_has_the_voxels_of_the_folder(
    tmp_path: Path, shards: tuple[int, int] | None, ranges: bool, query: str
) -> None:
    voxels = stored(tmp_path / "i.zarr", shards=shards)

    def closed(path: str, _: object) -> Answer | None:
        return None if path.endswith(query) else (403, {}, b"")

    with served(tmp_path, closed, ranges=ranges) as url:
        image = open_multiscale(f"{url}/i.zarr/{query}")
        assert image.name == "i"
        np.testing.assert_array_equal(read(f"{url}/i.zarr{query}"), voxels)
        box = Box((3, 5), (9, 30))
        reader = pickle.loads(pickle.dumps(VolumeReader(image)))
        np.testing.assert_array_equal(reader.read(box)[0], voxels[3:9, 5:30])
        side = 16 if shards else 8
        is_stored = StoredChunks(image).read(Box((side, 0), (side + 1, 32)))
        assert is_stored[0].tolist() == [not side <= x < 2 * side for x in range(32)]


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (401, "password or token"),
        (403, "may not read"),
        (410, "410"),
        (429, "wait"),
        (500, "500"),
        (503, "503"),
    ],
)
@pytest.mark.parametrize("shards", SHARDS)
def test_a_chunk_that_a_server_refuses_is_an_error_that_names_it(
    tmp_path: Path, status: int, line: str, shards: tuple[int, int] | None
) -> None:
    stored(tmp_path / "i.zarr", shards=shards)

    def fault(path: str, _: object) -> Answer | None:
        return (status, {}, b"") if path.startswith("/i.zarr/c/1/1") else None

    with served(tmp_path, fault) as url:
        for look in (read, lambda u: StoredChunks(open_multiscale(u)).read(WHOLE)):
            with pytest.raises(ImageError, match=line) as caught:
                look(f"{url}/i.zarr")
            assert "/i.zarr/c/1/1" in str(caught.value)
            assert len(str(caught.value)) <= 200


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        ((302, {"Location": "/login"}, b""), "redirected to .*/login"),
        ((302, {"Location": "/nowhere"}, b""), "redirected to .*/nowhere"),
        ((200, {}, LOGIN_PAGE), "web page"),
        ((200, {}, b""), "empty"),
        ((404, {}, b"<Error><Code>NoSuchBucket</Code></Error>"), "bucket does not exist"),
    ],
    ids=["login page", "missing page", "page", "nothing", "bucket"],
)
@pytest.mark.parametrize("name", ["zarr.json", "c/0/1", "c/1/1"])
def test_an_answer_that_is_neither_a_file_nor_a_missing_one_is_an_error(
    tmp_path: Path, answer: Answer, line: str, name: str
) -> None:
    stored(tmp_path / "i.zarr")

    def fault(path: str, _: object) -> Answer | None:
        if path == "/login":
            return 200, {"Content-Type": "text/html"}, LOGIN_PAGE
        return answer if path == f"/i.zarr/{name}" else None

    with served(tmp_path, fault) as url:
        with pytest.raises(ImageError, match=line) as caught:
            read(f"{url}/i.zarr")
        assert f"/i.zarr/{name}" in str(caught.value)


def test_files_that_moved_to_another_server_are_read_and_missing_ones_are_the_fill_value(
    tmp_path: Path,
) -> None:
    voxels = stored(tmp_path / "i.zarr")
    with (
        served(tmp_path) as there,
        served(tmp_path, lambda path, _: (301, {"Location": there + path}, b"")) as here,
    ):
        np.testing.assert_array_equal(read(f"{here}/i.zarr"), voxels)


@pytest.mark.parametrize("shards", SHARDS)
def test_an_answer_that_is_too_short_is_an_error(
    tmp_path: Path, shards: tuple[int, int] | None
) -> None:
    stored(tmp_path / "i.zarr", shards=shards)
    file = tmp_path / "i.zarr/c/0/0"
    file.write_bytes(file.read_bytes()[:-9])
    with served(tmp_path) as url, pytest.raises(ImageError):
        read(f"{url}/i.zarr", Box((1, 1), (5, 5)))


@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "no ranges"])
def test_a_change_on_the_server_changes_the_fingerprint(tmp_path: Path, ranges: bool) -> None:
    stored(tmp_path / "i.zarr")
    with served(tmp_path, ranges=ranges) as url:
        image = open_multiscale(f"{url}/i.zarr?token=Secret99")
        before = content_of(image).to_dict()
        assert content_of(image).difference(before) == ""
        array = zarr.open_array(tmp_path / "i.zarr", mode="r+")
        array[0, 9] = array[0, 9] + 1
        difference = content_of(image).difference(before)
    assert difference == "c/0/1 changed"
    assert "Secret99" not in json.dumps(before)


def test_a_bucket_that_does_not_exist_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("s3fs")
    body = (
        b'<?xml version="1.0"?><Error><Code>NoSuchBucket</Code>'
        b"<Message>The specified bucket does not exist</Message></Error>"
    )
    with served(tmp_path, lambda path, _: (404, {"Content-Type": "application/xml"}, body)) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        with pytest.raises(ImageError, match="bucket does not exist") as caught:
            open_multiscale("s3://me:secret99@gone/i.zarr")
    assert "secret99" not in str(caught.value)


def test_a_file_of_another_kind_at_a_url_is_named(tmp_path: Path) -> None:
    (tmp_path / "slide.svs").write_bytes(b"II*\0" + bytes(99))
    with served(tmp_path) as url:
        with pytest.raises(ImageError, match=r"slide.svs is an Aperio slide \(SVS\), not a zarr"):
            open_multiscale(f"{url}/slide.svs")
        with pytest.raises(ImageError, match="no such store"):
            open_multiscale(f"{url}/nothing")


def test_threads_and_pickled_readers_share_one_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    voxels = stored(tmp_path / "i.zarr")
    begun: list[object] = []
    begin = ClientSession.__init__

    def counted(self: ClientSession, *args: object, **options: object) -> None:
        begun.append(self)
        begin(self, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(ClientSession, "__init__", counted)
    with served(tmp_path) as url:
        read(f"{url}/i.zarr")
        begun.clear()
        reader = VolumeReader(open_multiscale(f"{url}/i.zarr"))
        for _ in range(3):
            with ThreadPoolExecutor(2) as threads:
                sent = pickle.loads(pickle.dumps(reader))
                for values in threads.map(lambda one: one.read(WHOLE)[0], [sent, reader]):
                    np.testing.assert_array_equal(values, voxels)
                assert threads.submit(read, f"{url}/i.zarr").result().shape == (32, 32)
    assert begun == []


def test_another_event_loop_has_a_session_of_its_own(tmp_path: Path) -> None:
    stored(tmp_path / "i.zarr")
    with served(tmp_path) as url:
        read(f"{url}/i.zarr")
        files = RemoteFiles(f"{url}/i.zarr")
        for _ in range(2):
            assert asyncio.run(files.size_of("zarr.json"))
        read(f"{url}/i.zarr")
