"""The command ``preview``."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import zarr
from conftest import BIGUNET

from bigunet.previewing.preview import Preview


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory, write_image: Any) -> Path:
    path = tmp_path_factory.mktemp("preview") / "in.zarr"
    write_image(path, "yx", shape=(150, 90))
    return path


def test_it_ends_with_the_command_that_goes_on_from_what_was_seen(
    bigunet: Any,
    image: Path,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target, shown = tmp_path / "out.zarr", []

    def wait(opened: Preview, stop: object) -> None:
        shown.append(opened.array[0:70, 0:10])
        raise KeyboardInterrupt

    monkeypatch.setattr(Preview, "wait", wait)
    words = ["--model", tiny_model, "--block-shape", "64,64", "--device", "cpu", "--no-browser"]
    done = bigunet("preview", image, target, *words)
    assert done.code == 130
    assert done.out.startswith("http://127.0.0.1:")
    *_, progress, command, _, end = done.messages
    assert progress.startswith("2 of 6 blocks, ")
    assert command.startswith("go on with: bigunet segment ")
    assert end == "Interrupted."
    resumed = bigunet(*shlex.split(command.removeprefix("go on with: "))[1:], "--json")
    assert (resumed.code, resumed.json["blocks_done"]) == (0, 4)
    labels = zarr.open_array(target / "labels/classes/0")
    assert (labels[0:70, 0:10] == shown[0]).all()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--resume"], "there is nothing to go on with or to overwrite without an OUT: give one"),
        (["out.zarr", "--resume", "--overwrite"], "give one of them"),
        (["--position", "y=150"], "has 150 voxels along y; give 0 to 149"),
        (["--position", "middle"], "position 'middle': give voxels by axis"),
        (["--output", "probabilities"], "a preview shows the classes: give --output classes, too"),
        (["--port", "70000"], "port 70000: give a number from 1 to 65535, or 0"),
    ],
)
def test_what_cannot_be_previewed_is_refused_in_one_line(
    bigunet: Any, image: Path, tiny_model: Path, words: list[str], line: str
) -> None:
    done = bigunet("preview", image, *words, "--model", tiny_model, "--no-browser")
    assert done.code == 1
    assert line in done.messages[-1]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_what_is_done_outlives_each_end(
    bigunet: Any, image: Path, tiny_model: Path, tmp_path: Path, number: signal.Signals
) -> None:
    target = tmp_path / "out.zarr"
    words = [target, "--model", tiny_model, "--block-shape", "64,64"]
    command = [BIGUNET, "preview", image, *words, "--no-browser"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        url = run.stdout.readline().strip()
        _look(url)
        os.kill(run.pid, number)
        assert run.wait(60) == {signal.SIGKILL: -9}.get(number, 128 + number)
    ledger = (target / "bigunet/ledger.jsonl").read_text().splitlines()
    assert len(ledger) == 7
    resumed = bigunet("segment", image, *words, "--resume", "--json")
    assert (resumed.code, resumed.json["blocks_done"]) == (0, 0)


def _look(url: str) -> None:
    """Ask for all labels, as a page in a browser would."""
    root, _, token = url.strip("/").rpartition("/v/")
    (source,) = {layer["source"][0] for layer in _layers(root, token) if layer["name"] == "classes"}
    chunk = source.removeprefix("zarr3://") + "0/c/0/0"
    with urllib.request.urlopen(chunk, timeout=60) as answer:
        assert len(answer.read()) == 150 * 90


def _layers(root: str, token: str) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{root}/events/{token}?c=test&gc=&gs=", timeout=60) as events:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            line = events.readline().decode().removeprefix("data: ").strip()
            if line and (state := json.loads(line))["k"] == "s":
                return list(state["s"]["layers"])
    raise TimeoutError
