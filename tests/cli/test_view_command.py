"""The command ``view``."""

from __future__ import annotations

import signal
import subprocess
import sys
import types
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import BIGUNET
from PIL import Image


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory, write_image: Any) -> Path:
    path = tmp_path_factory.mktemp("view") / "in.zarr"
    write_image(path, "zyx")
    return path


def test_a_picture_is_written_without_a_page(bigunet: Any, image: Path, tmp_path: Path) -> None:
    done = bigunet(
        "view", image, "--snapshot", tmp_path / "new/a.png", "--position", "z=3", "--size", 90
    )
    assert (done.code, done.out) == (0, "")
    assert done.messages == [f"picture: {tmp_path / 'new/a.png'}"]
    assert np.asarray(Image.open(tmp_path / "new/a.png")).shape == (90, 70, 3)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["--size", "90"],
            "--size is of a picture: give --snapshot FILE.png, too, or leave it out",
        ),
        (["--position", "z=20", "--no-browser"], "has 20 voxels along z; give 0 to 19"),
        (["--port", "-1", "--no-browser"], "port -1: give a number from 1 to 65535, or 0"),
        (["--field", "A/1/0", "--no-browser"], "is no plate; leave it out"),
        (["--napari", "--position", "x=1"], "leave it out with --napari"),
        (["--snapshot", "a.tif"], "the picture is a PNG; name it .png"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    bigunet: Any, image: Path, arguments: list[str], line: str
) -> None:
    done = bigunet("view", image, *arguments)
    assert done.code == 1
    (message,) = done.messages
    assert line in message


def test_without_napari_or_a_screen_one_line_says_what_to_do(
    bigunet: Any, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(sys.modules, "napari", types.ModuleType("napari"))
    done = bigunet("view", image, "--napari")
    assert done.messages == [
        "Error: --napari needs a screen, and there is none: give --snapshot FILE.png"
    ]
    monkeypatch.setitem(sys.modules, "napari", None)
    done = bigunet("view", image, "--napari")
    assert done.messages == ["Error: --napari needs napari: pip install 'napari[all]'"]


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_page_lives_until_the_command_is_interrupted(
    image: Path, number: signal.Signals, code: int
) -> None:
    words = [BIGUNET, "view", image, "--no-browser"]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        url = process.stdout.readline().strip()
        with urllib.request.urlopen(url, timeout=20) as page:
            assert b"neuroglancer" in page.read()
        process.send_signal(number)
        errors = process.stderr.read().split("\n")
    assert process.returncode == code
    word = "Interrupted." if number == signal.SIGINT else "Terminated."
    assert list(filter(None, errors)) == ["Ctrl-C ends it.", word]
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(url, timeout=5)
