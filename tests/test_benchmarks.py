"""Each benchmark runs, untimed, on a load that is small; what they print is what they promise."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import compare
import forward
import limit
import numpy as np
import ours
import precision
import pytest
import scheduler
import table
import zarr
from loads import LOADS
from support.whole_pass import whole_scores

import bigunet


def test_the_limit_is_measured(tmp_path: Path) -> None:
    found = limit.measure(tmp_path, size=64, megabytes=1, repeats=1)
    assert all(found["flops"][name] > 0 for name in ("fp32", "bf16"))
    assert found["copy_bytes"] > 0
    assert min(found["disk_read"], found["disk_write"]) > 0
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["tiny", "tiny-volume"])
def test_a_load_is_segmented_and_gives_the_labels_of_one_pass(name: str, tmp_path: Path) -> None:
    load = LOADS[name]
    found = ours.measure(load, tmp_path, repeats=1, precision="fp32", options=[], size=64)
    assert found["efficiency"] == pytest.approx(
        load.flops / (found["seconds"] * found["flops_peak"])
    )
    assert found["recompute"] >= 1
    assert found["bytes_read_per_image_byte"] >= 1
    image = zarr.open_array(str(load.image(tmp_path)))[:]
    scores = whole_scores(bigunet.load_model(load.model(tmp_path)), image[np.newaxis], 0, 255)
    labels = zarr.open_array(str(tmp_path / f"{name}-out.zarr/labels/classes/0"))[:]
    assert (labels != scores.argmax(0).numpy()).mean() < 1e-3


def test_the_forward_pass_alone_is_timed(tmp_path: Path) -> None:
    command = [sys.executable, forward.__file__, "tiny", "--tile", "32", "64", "--repeats", "1"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found = json.loads(done.stdout)["microseconds_per_voxel"]
    assert found.keys() == {"32", "64"}
    assert min(found.values()) > 0


@pytest.mark.slow
def test_peers_give_the_same_labels_and_a_table_tells(tmp_path: Path) -> None:
    load, peers = LOADS["tiny"], ["naive", "dask"]
    contenders = [compare.Contender.parse(f"{peer}:fp32:32", load) for peer in peers]
    found = compare.measure(
        load,
        tmp_path,
        contenders,
        repeats=1,
        precision="fp32",
        options=["--backend", "torch"],
        python=sys.executable,
        size=64,
    )
    assert len(found["ours"]["runs"]) == 1
    for peer in found["peers"].values():
        assert peer["differing"] < 1e-3
        assert peer["times_ours"] == pytest.approx(peer["seconds"] / found["ours"]["seconds"])
    (tmp_path / "compare-tiny.json").write_text(json.dumps(found))
    table.write_table(tmp_path)
    table.plot(tmp_path)
    told = (tmp_path / "table.md").read_text()
    assert all(f"| {peer} | fp32 | 32 |" in told for peer in peers)
    assert (tmp_path / "speed.png").stat().st_size > 1000


def test_blocks_of_no_work_are_timed() -> None:
    found = scheduler.measure(300, workers=1)
    assert found["blocks"] == 300
    assert found["milliseconds_per_block"] > 0
    assert len(found["memory_bytes_after_each_part"]) == 10


@pytest.mark.slow
def test_what_a_lower_precision_changes_is_told(tmp_path: Path) -> None:
    load = LOADS["tiny"]
    load.prepare(tmp_path)
    found = precision.measure(
        load.image(tmp_path), str(load.model(tmp_path)), tmp_path, backends=["torch"], options=[]
    )
    # Weights that were never trained decide by little.
    assert 0.5 < found["bf16 torch"]["equal"] <= 1
