"""The script that made the bundled model still runs, on images made here."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bigunet.model.file import load_model

SCRIPT = Path(__file__).parents[2] / "examples" / "nuclei" / "train.py"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for kind in ("images", "labels"):
        (tmp_path / kind).mkdir()
    for number in range(20):
        nuclei = np.kron(rng.permutation(16).reshape(4, 4), np.ones((10, 10), int))
        grey = 20 + 100 * (nuclei > 7) + rng.integers(0, 9, nuclei.shape)
        Image.fromarray(grey.astype(np.uint8)).save(tmp_path / "images" / f"{number}.png")
        truth = np.where(nuclei > 7, nuclei, 0).astype(np.uint16)
        Image.fromarray(truth).save(tmp_path / "labels" / f"{number}.png")
    return tmp_path


def test_the_example_trains_and_describes_its_model(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = folder / "model.safetensors"
    options = ["--out", str(out), "--minutes", "0.01", "--width", "4"]
    options += ["--report-every", "1", "--threads", "1"]
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), str(folder), *options])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    known = load_model(out).description
    assert [c.name for c in known.classes] == ["background", "nucleus", "border"]
    assert known.card["licence"] == "CC0-1.0"
    assert known.training["images"] + 1 <= 20
    assert 0 <= known.training["validation_score"] <= 1
    assert 0 <= known.training["bf16_equal_labels"] <= 1
    written = capsys.readouterr()
    assert written.out == ""
    assert "AP@0.5" in written.err
