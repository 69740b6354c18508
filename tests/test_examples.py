"""The examples: their scripts can be run again, and say in one line what is missing."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from training_images import write_folders

EXAMPLES = Path(__file__).parents[1] / "examples"
STAND_IN = """#!/bin/sh
# Tells how it was called, and fails where it is told to.
echo "$@" >> "$CALLS"
case "$*" in *"$FAILS"*) exit 1 ;; esac
case "$*" in *--json*) echo '{}' ;; esac
"""


class Shell:
    """Runs the scripts with a stand-in for bigunet, and keeps what it was called with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        command = folder / "bin" / "bigunet"
        command.parent.mkdir()
        command.write_text(STAND_IN)
        command.chmod(0o755)

    def calls(self, script: str, *arguments: str, fails: str = "nothing does") -> list[str]:
        told = self.folder / "calls"
        told.write_text("")
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        ran = subprocess.run(
            ["sh", str(EXAMPLES / script), *arguments],
            env={"PATH": path, "CALLS": str(told), "FAILS": fails},
            stdout=subprocess.DEVNULL,
            cwd=self.folder,
        )
        assert (ran.returncode == 0) == (fails == "nothing does")
        return told.read_text().splitlines()


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.mark.parametrize(
    ("script", "fails", "done", "left"),
    [
        ("isbi2012/few.sh", "segment data/scored/images.zarr out/5.zarr", "out/1.", "out/5."),
        ("isbi2012/networks.sh", "evaluate out/fcn.zarr", "out/unet.", "out/fcn."),
        ("nuclei/weight_map.sh", "--border-weight 0 --overwrite", "weight-10.", "weight-0."),
        ("nuclei/bundled.sh", "--from out/second.safe", "--out out/first.", "--out out/nuclei"),
    ],
)
def test_a_comparison_that_was_cut_off_goes_on(
    shell: Shell, script: str, fails: str, done: str, left: str
) -> None:
    first = shell.calls(script, "data", "out", fails=fails)
    assert done in first[0]
    assert left in first[-1]
    again = shell.calls(script, "data", "out")
    assert left in again[0]
    assert not any(done in call for call in again)
    assert all("--overwrite" in call for call in again if not call.startswith("evaluate"))
    assert shell.calls(script, "data", "out") == []


def test_options_go_to_segment_when_membranes_are_scored(shell: Shell) -> None:
    segment, evaluate = shell.calls("isbi2012/score.sh", "d", "m.safetensors", "f", "--overwrite")
    assert segment.startswith("segment d/scored/images.zarr f --model m.safetensors")
    assert segment.endswith("--overwrite")
    assert "--overwrite" not in evaluate


@pytest.mark.parametrize(
    ("script", "given"),
    [
        ("nuclei/train.sh", ["folder", "out.safetensors"]),
        ("nuclei/refine.sh", ["folder", "first.safetensors", "out.safetensors"]),
        ("fib25/train.sh", ["folder", "out.safetensors"]),
        ("isbi2012/train.sh", ["folder", "out.safetensors"]),
    ],
)
def test_a_model_says_of_itself_what_was_asked_for_alone(
    shell: Shell, script: str, given: list[str]
) -> None:
    (call,) = shell.calls(script, *given)
    assert not re.search(r"--card|--name", call)
    (call,) = shell.calls(script, *given, "--card", "card.json")
    assert call.endswith("--card card.json")


@pytest.mark.parametrize(
    ("example", "missing"), [("fib25", "gray*.tif"), ("isbi2012", "train_volume*.tif")]
)
def test_a_folder_without_the_data_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, example: str, missing: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["prepare.py", str(tmp_path), str(tmp_path / "out")])
    with pytest.raises(SystemExit, match=re.escape(f"{tmp_path} holds no {missing}; give")):
        runpy.run_path(str(EXAMPLES / example / "prepare.py"), run_name="__main__")
    assert not (tmp_path / "out").exists()


def scored(monkeypatch: pytest.MonkeyPatch, folder: Path, model: str) -> None:
    monkeypatch.setattr(sys, "argv", ["score.py", str(folder), model])
    runpy.run_path(str(EXAMPLES / "nuclei" / "score.py"), run_name="__main__")


def test_nuclei_are_counted_in_all_fields_and_in_those_kept_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_folders(tmp_path)
    scored(monkeypatch, tmp_path, "nuclei")
    counts = {
        line.split(":")[0]: [int(n) for n in re.findall(r"(\d+) [fms]", line)]
        for line in capsys.readouterr().out.splitlines()
    }
    objects = [
        len(np.unique(np.asarray(Image.open(path)))) - 1 for path in (tmp_path / "labels").iterdir()
    ]
    assert counts["all"][0] == 4
    assert counts["all"][1] + counts["all"][2] == sum(objects)
    assert counts["validation"][0] == 1
    assert counts["validation"][1] + counts["validation"][2] in objects


def test_nuclei_are_scored_by_a_model_of_cells_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folders(tmp_path)
    with pytest.raises(SystemExit, match="em-boundaries was not trained with --target cells"):
        scored(monkeypatch, tmp_path, "em-boundaries")
    with pytest.raises(SystemExit, match="nowhere/images is no image, folder of images"):
        scored(monkeypatch, tmp_path / "nowhere", "nuclei")
