"""Each benchmark runs on a small load, and prints what it promises; nothing is timed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import compare
import contenders as contenders_of
import forward
import limit
import many_objects
import numpy as np
import ours
import precision
import processor
import pytest
import scheduler
import table
import zarr
from loads import LOADS
from scipy import ndimage
from support.whole_pass import whole_scores

import bigunet


def test_the_limits_of_the_machine_are_measured(tmp_path: Path) -> None:
    figures = limit.measure(tmp_path, most=64, matrix_seconds=0.1, megabytes=1, repeats=1)
    assert figures["flops"].keys() == set(processor.precisions("cpu"))
    assert min(figures["flops"].values()) > 0
    assert figures["copy_bytes"] > 0
    assert min(figures["disk_read"], figures["disk_write"]) > 0
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tiny", "tiny-volume"])
def test_a_load_is_segmented_and_gives_the_labels_of_one_pass(name: str, tmp_path: Path) -> None:
    load = LOADS[name]
    figures = ours.measure(load, tmp_path, repeats=1, precision="fp32", options=[], most=64)
    assert figures["efficiency"] == pytest.approx(
        load.flops / (figures["seconds"] * figures["flops_peak"])
    )
    assert figures["recompute"] >= 1
    assert figures["bytes_read_per_image_byte"] >= 1
    image = zarr.open_array(str(load.image(tmp_path)))[:]
    scores = whole_scores(bigunet.load_model(load.model(tmp_path)), image[np.newaxis], 0, 255)
    labels = zarr.open_array(str(tmp_path / f"{name}-out.zarr/labels/classes/0"))[:]
    assert (labels != scores.argmax(0).numpy()).mean() < 1e-3


@pytest.mark.slow
def test_the_forward_pass_alone_is_timed(tmp_path: Path) -> None:
    command = [sys.executable, forward.__file__, "tiny", "--tile", "32", "64", "--repeats", "1"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    microseconds = json.loads(done.stdout)["microseconds_per_voxel"]
    assert microseconds.keys() == {"32", "64"}
    assert min(microseconds.values()) > 0


@pytest.mark.slow
def test_many_objects_are_stitched_numbered_and_measured() -> None:
    command = [sys.executable, many_objects.__file__, "--one", "500"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    figures = json.loads(done.stdout)
    # Two blocks along each axis: discs are whole inside, and halves at the border of the image.
    assert figures["blocks"] == 4
    assert 4 * many_objects.PER_SIDE[2] ** 2 < figures["objects"] < figures["fragments"]
    assert figures["peak_memory_bytes"] > 0


@pytest.mark.slow
def test_objects_of_repeated_blocks_are_those_of_the_whole(tmp_path: Path) -> None:
    classes = (np.random.default_rng(0).random((6, 7, 8)) < 0.4).astype(np.uint8)
    np.save(tmp_path / "classes.npy", classes)
    script = Path(many_objects.__file__).parent / "peers" / "objects.py"
    command = [sys.executable, str(script), "bigunet", str(tmp_path / "classes.npy"), "2"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    assert json.loads(done.stdout)["objects"] == ndimage.label(np.tile(classes, (2, 2, 2)))[1]


@pytest.mark.slow
def test_peers_give_the_same_labels_and_stand_in_the_table(tmp_path: Path) -> None:
    load, peers = LOADS["tiny"], ["naive", "dask"]
    contenders = [contenders_of.Contender.parse(f"{peer}:fp32:32", load) for peer in peers]
    contenders.append(contenders_of.Contender.parse("bigunet:fp32:torch", load))
    figures = compare.measure(
        load,
        tmp_path,
        contenders,
        repeats=1,
        precision="fp32",
        options=["--backend", "torch"],
        python=sys.executable,
        most=64,
    )
    assert len(figures["ours"]["runs"]) == 1
    for peer in figures["peers"].values():
        assert peer["differing"] < 1e-3
        assert peer["times_ours"] == pytest.approx(peer["seconds"] / figures["ours"]["seconds"])
    assert figures["peers"]["bigunet:fp32:torch"]["differing"] == 0
    folder = tmp_path / processor.folder_name(figures["device"])
    folder.mkdir()
    (folder / "compare-tiny.json").write_text(json.dumps(figures))
    table.write_table(tmp_path)
    table.plot(tmp_path)
    page = (tmp_path / "table.md").read_text()
    assert all(f"| {peer} | fp32 | 32 |" in page for peer in peers)
    assert (tmp_path / "speed.png").stat().st_size > 1000


@pytest.mark.slow
def test_blocks_without_work_are_timed() -> None:
    figures = scheduler.measure(300, workers=1)
    assert figures["blocks"] == 300
    assert figures["milliseconds_per_block"] > 0
    assert len(figures["memory_bytes_after_each_part"]) == 10


@pytest.mark.slow
def test_the_share_of_equal_labels_in_a_lower_precision_is_measured(tmp_path: Path) -> None:
    load = LOADS["tiny"]
    load.prepare(tmp_path)
    figures = precision.measure(
        load.image(tmp_path), str(load.model(tmp_path)), tmp_path, backends=["torch"], options=[]
    )
    # Random weights give two classes almost the same score, so that rounding changes labels.
    assert 0.5 < figures["bf16 torch"]["equal"] <= 1
