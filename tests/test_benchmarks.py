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
import null_network
import numpy as np
import ours
import precision
import processor
import pytest
import scheduler
import startup
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
    assert sum(figures["profile"]["parts"].values()) >= figures["profile"]["seconds"] * 0.99
    folder = tmp_path / "results" / processor.folder_name(figures["device"])
    folder.mkdir(parents=True)
    (folder / "ours.json").write_text(json.dumps(figures))
    table.write_table(tmp_path / "results")
    page = (tmp_path / "results" / "table.md").read_text()
    assert "Where the time of all threads goes" in page
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
    contenders.append(contenders_of.Contender.parse("bigunet:fp32:winograd", load))
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
    assert figures["peers"]["bigunet:fp32:winograd"]["differing"] < 1e-3
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


@pytest.mark.slow
def test_the_start_of_commands_is_split_into_phases_and_imports() -> None:
    figures = startup.measure(128, repeats=1, cold=False, demo=False)
    assert set(figures["commands"]) >= {"--help", "info", "plan", "segment"}
    assert all(times["cpu_seconds"] > 0 for times in figures["commands"].values())
    names = [phase["name"] for phase in figures["phases"]]
    assert names[:4] == ["command", "import", "open image and model", "plan"]
    begun = {phase["name"]: phase["begin"] for phase in figures["phases"]}
    assert begun["plan"] < begun["start workers"] < begun["a block"] < begun["end workers"]
    assert {"torch", "bigunet", "zarr"} <= set(figures["imports"])


@pytest.mark.slow
def test_the_stages_of_the_pipeline_are_timed_with_a_network_that_costs_nothing(
    tmp_path: Path,
) -> None:
    figures = null_network.measure(tmp_path, "threshold", (600, 140), repeats=1)
    stages = figures["cpu_ms_per_megapixel"]
    assert null_network.STAGES.keys() - {"finite voxels"} <= stages.keys()
    assert figures["megapixels_per_cpu_second"] > 0


@pytest.mark.slow
def test_a_whole_run_is_timed_with_a_network_that_costs_nothing(tmp_path: Path) -> None:
    figures = null_network.whole(tmp_path, "conv", (300, 260), 1, block_shape=(64, 64))
    assert figures["steady_megapixels_per_second"] > 0
