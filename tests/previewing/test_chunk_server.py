"""Chunks over HTTP: they come when their blocks are done, to the page that has the token."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import zarr
from distributed import Client

from bigunet.geometry import Box
from bigunet.previewing.chunk_server import ChunkServer
from bigunet.previewing.live_scene import scene_of
from bigunet.previewing.live_view import LiveView
from bigunet.previewing.preview import Preview, preview
from bigunet.previewing.staleness import Staleness

_PAGE = "http://127.0.0.1:1"
_SHAPE = (1400, 40)


@pytest.fixture(scope="module")
def opened(
    tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, client: Client
) -> Iterator[Preview]:
    folder = tmp_path_factory.mktemp("chunks")
    pixels = np.random.default_rng(0).integers(0, 256, _SHAPE).astype(np.uint8)
    array = zarr.create_array(str(folder / "in.zarr"), shape=_SHAPE, chunks=(64, 64), dtype="uint8")
    array[:] = pixels
    arguments = {"model": tiny_model, "client": client, "block_shape": (64, 32)}
    with preview(folder / "in.zarr", folder / "out.zarr", **arguments) as opened:
        yield opened


@pytest.fixture
def staleness(opened: Preview) -> Staleness:
    staleness = Staleness()
    opened._session.done.listen(lambda _: staleness.change())
    return staleness


@pytest.fixture
def server(opened: Preview, staleness: Staleness) -> Iterator[ChunkServer]:
    (layer,) = scene_of(opened._session).labels
    computed = opened._session.outputs["classes"]
    view = LiveView(layer.image, is_label=True, computed=computed, staleness=staleness)
    with ChunkServer(_PAGE, {"labels": view}) as server:
        yield server


def ask(url: str) -> tuple[int, bytes, dict[str, str]]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)
    connection.request("GET", parts.path)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content, dict(answer.getheaders())


def chunk_of(server: ChunkServer, key: str, side: tuple[int, int]) -> np.ndarray:
    status, content, _ = ask(f"{server.url('labels')}/{key}")
    assert status == 200
    return np.frombuffer(content, np.uint8).reshape(side)


def test_a_chunk_of_level_0_is_what_is_computed_then_and_an_overview_computes_nothing(
    opened: Preview, server: ChunkServer, staleness: Staleness
) -> None:
    before = opened.num_done
    # On a screen, level 1 shows all 44 blocks.
    assert not chunk_of(server, "1/c/1/0", (512, 20)).any()
    assert opened.num_done == before
    chunk = chunk_of(server, "0/c/2/0", (512, 40))
    assert opened.num_done == before + 12
    np.testing.assert_array_equal(chunk[: 1400 - 1024], opened.array[1024:])
    assert not chunk[1400 - 1024 :].any()
    assert staleness.renew(), "the page has an overview from before"
    assert not staleness.renew()
    coarse = chunk_of(server, "1/c/1/0", (512, 20))
    assert coarse.any()
    shown = opened._session.outputs["classes"].read(1, Box((512, 0), (700, 20)))
    np.testing.assert_array_equal(coarse[:188], shown)


def test_metadata_and_the_page_that_may_read(server: ChunkServer) -> None:
    status, content, headers = ask(f"{server.url('labels')}@7/zarr.json")
    assert status == 200
    assert len(json.loads(content)["attributes"]["ome"]["multiscales"][0]["datasets"]) == 3
    assert headers["Access-Control-Allow-Origin"] == _PAGE
    assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("key", ["9/zarr.json", "0/c/9/0", "0/c/0/9", "9/c/0/0", "x", "", "0/c/0"])
def test_other_keys_are_404(server: ChunkServer, key: str) -> None:
    assert ask(f"{server.url('labels')}/{key}")[0] == 404


def test_nothing_is_served_without_the_token(server: ChunkServer) -> None:
    url = server.url("labels") + "/zarr.json"
    token = url.split("/")[4]
    assert ask(url.replace(token, token[:-1] + "x"))[:2] == (403, b"")
    assert ask(server.url("others") + "/zarr.json")[0] == 403


def test_who_goes_away_takes_the_request_back(opened: Preview, server: ChunkServer) -> None:
    blocks = opened._session.blocks
    parts = urlsplit(f"{server.url('labels')}/0/c/0/0")
    with pytest.MonkeyPatch.context() as patched:
        # Nothing is begun, as if all workers were busy.
        patched.setattr(blocks, "_refill", lambda: None)
        with socket.create_connection((str(parts.hostname), parts.port or 0)) as browser:
            browser.sendall(f"GET {parts.path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            _until(lambda: server.num_held == 1)
        _until(lambda: server.num_held == 0)
        assert blocks._wishes.take() is None


def _until(condition: Callable[[], bool]) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise TimeoutError
