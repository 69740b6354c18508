"""The recipes that train models: their scripts go on after a failure, and score what they say."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.example_shell import RECIPES, ExampleShell
from support.training_images import write_folders


@pytest.fixture
def shell(tmp_path: Path) -> ExampleShell:
    return ExampleShell(tmp_path)


@pytest.mark.parametrize(
    ("script", "fails", "done", "missing"),
    [
        ("isbi2012/few.sh", "segment data/scored/images.zarr out/5.zarr", "out/1.", "out/5."),
        ("isbi2012/networks.sh", "evaluate out/fcn.zarr", "out/unet.", "out/fcn."),
        ("nuclei/weight_map.sh", "--border-weight 0 --overwrite", "weight-10.", "weight-0."),
        ("nuclei/bundled.sh", "--from out/second.safe", "--out out/first.", "--out out/nuclei"),
    ],
)
def test_a_comparison_that_was_interrupted_goes_on(
    shell: ExampleShell, script: str, fails: str, done: str, missing: str
) -> None:
    assert shell.run(script, "data", "out", fails=fails) != 0
    assert done in shell.calls[0]
    assert missing in shell.calls[-1]
    assert shell.run(script, "data", "out") == 0
    assert missing in shell.calls[0]
    assert not any(done in call for call in shell.calls)
    assert all("--overwrite" in call for call in shell.calls if not call.startswith("evaluate"))
    assert shell.run(script, "data", "out") == 0
    assert shell.calls == []


def test_options_go_to_segment_when_membranes_are_scored(shell: ExampleShell) -> None:
    assert shell.run("isbi2012/score.sh", "d", "m.safetensors", "f", "--overwrite") == 0
    segment, evaluate = shell.calls
    assert segment.startswith("segment d/scored/images.zarr f --model m.safetensors")
    assert segment.endswith("--overwrite")
    assert "--overwrite" not in evaluate


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("nuclei/train.sh", ["folder", "out.safetensors"]),
        ("nuclei/refine.sh", ["folder", "first.safetensors", "out.safetensors"]),
        ("fib25/train.sh", ["folder", "out.safetensors"]),
        ("isbi2012/train.sh", ["folder", "out.safetensors"]),
    ],
)
def test_a_model_has_a_card_only_if_the_user_gives_one(
    shell: ExampleShell, script: str, arguments: list[str]
) -> None:
    assert shell.run(script, *arguments) == 0
    (call,) = shell.calls
    assert not re.search(r"--card|--name", call)
    assert shell.run(script, *arguments, "--card", "card.json") == 0
    (call,) = shell.calls
    assert call.endswith("--card card.json")


@pytest.mark.parametrize(
    ("example", "missing"), [("fib25", "gray*.tif"), ("isbi2012", "train_volume*.tif")]
)
def test_a_folder_without_the_data_is_an_error_of_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, example: str, missing: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["prepare.py", str(tmp_path), str(tmp_path / "out")])
    with pytest.raises(SystemExit, match=re.escape(f"{tmp_path} holds no {missing}; give")):
        runpy.run_path(str(RECIPES / example / "prepare.py"), run_name="__main__")
    assert not (tmp_path / "out").exists()


def run_score(monkeypatch: pytest.MonkeyPatch, folder: Path, model: str) -> None:
    monkeypatch.setattr(sys, "argv", ["score.py", str(folder), model])
    runpy.run_path(str(RECIPES / "nuclei" / "score.py"), run_name="__main__")


def test_nuclei_are_counted_in_the_validation_fields_and_in_all_fields(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_folders(tmp_path)
    run_score(monkeypatch, tmp_path, "nuclei")
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


def test_only_a_model_of_cells_is_scored_on_nuclei(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folders(tmp_path)
    with pytest.raises(SystemExit, match="em-boundaries was not trained with --target cells"):
        run_score(monkeypatch, tmp_path, "em-boundaries")
    with pytest.raises(SystemExit, match="nowhere/images does not exist"):
        run_score(monkeypatch, tmp_path / "nowhere", "nuclei")
