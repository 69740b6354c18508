"""Command lines of every kind end with code 0, 1 or 2, one line that says why, no traceback."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from conftest import Outcome, Run, save_random_model, write_ome_zarr
from hypothesis import event, given
from hypothesis import strategies as st
from support.fuzz_law import law

# Paths in the current folder of a run.
PATHS = (
    "in.zarr", "stack.zarr", "in.zarr/0", "labels.zarr", "tiny.safetensors", "plain.txt", "empty",
    "nothing", "", ".", "-", "a b", "é", "in.zarr::0", "s3://", "http://", "file:///nothing",
    "memory://x", "~nobody/x", "x\n y", "nuclei", "in.tif", "%", "*.zarr", "[",
    "in.zarr/../in.zarr",
)  # fmt: skip
NUMBERS = (
    "0",
    "1",
    "-1",
    "7",
    "1.5",
    "nan",
    "inf",
    "1e400",
    "9" * 5000,
    "",
    "a",
    "0x1",
    "²",
    "1_0",
)
VALUES: dict[str, tuple[str, ...]] = {
    "--level": (*NUMBERS, "auto"),
    "--channel": (*NUMBERS, "DAPI", "index:9", "name:", "index:"),
    "--axes": ("yx", "zyx", "yxc", "q", "", "yyxx"),
    "--roi": ("x=0:9", "x=9:0", "q=0:1", "x", "x=:", "x=0:99999999999999999999", "=0:1"),
    "--block-shape": ("16,16", "1", "0,0", "16,", "a,b", "9" * 5000, "16,16,16,16,16"),
    "--tile-shape": ("16,16", "1", "-1,5", "99999999999999999999,1"),
    "--grey-range": ("0:100", "1:1", "0:inf", "nan:1", ":", "0:1" + "0" * 400, "-1e308:1e308"),
    "--percentiles": ("1:99", "99:1", "nan:5", "0:101", "1"),
    "--grey-range-of": PATHS,
    "--mask": PATHS,
    "--model": PATHS,
    "--memory-limit": ("1", "1GB", "-1", "1XB", "nan", "inf", "1e400", "1e30 GB", ""),
    "--precision": ("fp32", "bf16", "fp64"),
    "--backend": ("torch", "tensorflow"),
    "--device": ("cpu", "tpu"),
    "--ome-version": ("0.4", "0.5", "0.6", "0.7"),
    "--nonfinite": ("background", "ignore"),
    "--output": ("classes", "probabilities", "x"),
    "--part": ("1/1", "2/1", "0/0", "a", "1/99999999999999999999"),
    "--cluster": ("threads", "nothing"),
    "--workers": ("0", "-1", "x"),
    "--performance-report": ("no/such/folder.html", "", "."),
    "--into": ("many", "plain.txt", ""),
    "--host": ("999.1.1.1", "nothing.invalid"),
    "--walltime": ("04:00:00", "x"),
    "--job-memory": ("1GB", "x"),
    "--dashboard-address": ("x", ":99999999"),
    "--minutes": NUMBERS,
    "--steps": NUMBERS,
    "--ignore": NUMBERS,
    "--target": ("boundaries", "classes", "x"),
    "--seed": NUMBERS,
    "--truth": PATHS,
    "--threshold": NUMBERS,
}
FLAGS = ("--tta", "--skip-empty", "--resume", "--overwrite", "--json", "--quiet", "--no-such", "-h",
         "--debug", "--version", "--", "--tune")  # fmt: skip
COMMANDS = (
    "segment",
    "plan",
    "info",
    "evaluate",
    "train",
    "verify",
    "models",
    "jobs",
    "",
    "segmnt",
)


@st.composite
def lines(draw: Any) -> list[str]:
    """Words of a command line; words that the command knows are the most frequent."""
    command = draw(st.sampled_from(COMMANDS[:4]) | st.sampled_from(COMMANDS))
    words = [command, *draw(st.lists(st.sampled_from(PATHS), max_size=3))]
    if command in ("segment", "plan"):
        # Other refusals appear only if image and model exist.
        words[1:2] = draw(st.sampled_from([["in.zarr"], ["in.zarr"], words[1:2]]))
        if draw(st.integers(0, 4)):
            words += ["--model", "tiny.safetensors"]
    for _ in range(draw(st.integers(0, 4))):
        name = draw(st.sampled_from(sorted(VALUES)))
        words += [name, draw(st.sampled_from(VALUES[name]) | st.text(max_size=5))]
    words += draw(st.lists(st.sampled_from(FLAGS), max_size=2))
    return words


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an image, a stack, labels, a model, and files of other kinds."""
    folder = tmp_path_factory.mktemp("place")
    write_ome_zarr(folder / "in.zarr", "yx", shape=(40, 50))
    write_ome_zarr(folder / "stack.zarr", "czyx", shape=(2, 5, 20, 20))
    labels = np.zeros((40, 50), np.uint8)
    labels[5:20, 5:20] = 1
    zarr.create_array(str(folder / "labels.zarr"), data=labels, chunks=(20, 20))
    save_random_model(folder / "tiny.safetensors", width=1, depth=1)
    (folder / "plain.txt").write_text("no image")
    (folder / "in.tif").write_bytes(b"II*\0")
    (folder / "empty").mkdir()
    return folder


def check(words: list[str], outcome: Outcome) -> None:
    lines_ = [line for line in outcome.messages if line.strip()]
    assert outcome.code in (0, 1, 2), outcome
    assert "Traceback" not in outcome.err or "--debug" in words, outcome.err
    assert "--debug shows where" not in outcome.err, outcome.err
    if outcome.code:
        assert lines_, "an exit code without a message"
        assert len(lines_[-1]) <= 500, lines_[-1]
    event(f"{words[0] or 'nothing'} leaves with {outcome.code}")


@law(40)
@given(words=lines())
def test_a_command_line_runs_or_a_line_says_why_not(
    place: Path, monkeypatch: pytest.MonkeyPatch, bigunet: Run, words: list[str]
) -> None:
    monkeypatch.chdir(place)
    if words[0] == "train" and not any(word.startswith("--no") for word in words):
        # Only usage errors are of interest here, so nothing is trained.
        words = [*words, "--minutes", "-1"]
    if words[0] == "segment" and "--overwrite" not in words:
        words = ["segment", "--overwrite", *words[1:]]
    before = os.getcwd()
    check(words, bigunet(*words))
    assert os.getcwd() == before
