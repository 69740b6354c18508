"""The examples for users are short, numbered, and run as they are."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import numpy as np
import pandas
import pytest
import tifffile
from support.example_shell import EXAMPLES, NOTHING, ExampleShell
from support.training_images import write_folders

NUMBERED = sorted(path.name for path in EXAMPLES.glob("[0-9]*"))


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs an example in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def run(name: str, *arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")

    return run


def test_each_example_is_numbered_short_and_run_by_a_test_here() -> None:
    assert [name[:3] for name in NUMBERED] == [f"{k:02}_" for k in range(1, len(NUMBERED) + 1)]
    text = Path(__file__).read_text()
    for name in NUMBERED:
        assert text.count(name) >= 1, name
        if not name.endswith(".ipynb"):
            assert len((EXAMPLES / name).read_text().splitlines()) < 80, name


def test_the_page_of_the_examples_lists_each_of_them() -> None:
    listed = re.findall(r"\| \[`(\d\d_[\w.]+)`\]\(\1\)", (EXAMPLES / "README.md").read_text())
    assert listed == NUMBERED


def test_an_image_becomes_labels_and_a_table(
    run: Any, tmp_path: Path, write_image: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image(tmp_path / "image.zarr", "yx", shape=(96, 90))
    run("01_segment.py", "image.zarr", "out.zarr")
    (nuclei,) = re.findall(r"nuclei: (\d+)", capsys.readouterr().out)
    run("02_table.py", "out.zarr", "nuclei.csv")
    table = pandas.read_csv("nuclei.csv")
    assert len(table) < int(nuclei)
    assert not table["cut"].any()
    assert f"{len(table)} whole nuclei of {nuclei}; area_um2" in capsys.readouterr().out


@pytest.mark.parametrize(("fails", "code"), [(NOTHING, 0), ("jobs", 1)])
def test_a_job_is_submitted_only_if_its_script_was_written(
    tmp_path: Path, fails: str, code: int
) -> None:
    shell = ExampleShell(tmp_path)
    sbatch = tmp_path / "bin" / "sbatch"
    sbatch.write_text('#!/bin/sh\necho "sbatch $@" >> "$CALLS"\n')
    sbatch.chmod(0o755)
    arguments = ("in.zarr", "out.zarr", "--within", "2h")
    assert shell.run("08_slurm.sh", *arguments, fails=fails) == code
    submitted = ["jobs slurm in.zarr out.zarr --within 2h", "sbatch bigunet-job.sh"]
    assert shell.calls == (submitted if code == 0 else submitted[:1])


@pytest.mark.slow
def test_a_model_is_trained_and_scored_on_other_fields(
    run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_folders(tmp_path)
    write_folders(tmp_path / "held-out", count=2)
    run("03_own_model.py", ".", "cells.safetensors", "2")
    printed = capsys.readouterr().out
    assert printed.count(" cells\n") == 2
    assert re.search(r"average precision at an IoU of 0.5: [01]\.\d", printed)
    assert Path("cells.safetensors").is_file()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_volume_becomes_bodies(
    run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    volume = np.random.default_rng(1).integers(0, 255, (12, 40, 40)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "volume.tif", volume, imagej=True, metadata={"axes": "ZYX"})
    run("04_volume.py", "volume.tif", "out.zarr")
    assert re.search(r"^bodies: \d+$", capsys.readouterr().out, re.M)
    assert Path("out.zarr/labels/instances/0").is_dir()


@pytest.mark.slow
def test_the_nuclei_of_each_well_are_counted(
    run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("05_plate.py")
    printed = capsys.readouterr().out
    fields = [int(n) for n in re.findall(r"(\d+) nuclei$", printed, re.M)]
    wells = [int(n) for n in re.findall(r"^[AB][12] +(\d+)", printed, re.M)]
    assert wells == [a + b for a, b in zip(fields[::2], fields[1::2])]
    assert len(wells) == 4
    assert min(wells) > 100


@pytest.mark.slow
def test_the_notebook_runs_from_top_to_bottom(tmp_path: Path) -> None:
    notebook = nbformat.read(EXAMPLES / "06_arrays_in_python.ipynb", 4)
    kept = [cell.get("outputs") for cell in notebook.cells]
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=200, resources=resources).execute()
    for cell, outputs in zip(notebook.cells, kept):
        for new, old in zip(cell.get("outputs", []), outputs or [], strict=True):
            # Pictures differ by the version of matplotlib.
            assert new["output_type"] == old["output_type"]
            if new["output_type"] == "execute_result":
                assert new["data"]["text/plain"] == old["data"]["text/plain"]


@pytest.mark.slow
def test_the_workers_of_a_cluster_segment(
    run: Any, tmp_path: Path, write_image: Any, capsys: pytest.CaptureFixture[str], client: Any
) -> None:
    write_image(tmp_path / "image.zarr", "yx", shape=(96, 90))
    run("07_dask_cluster.py", "image.zarr", "out.zarr", client.scheduler.address)
    assert re.search(r"^nuclei: \d+$", capsys.readouterr().out, re.M)
