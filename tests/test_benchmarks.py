"""Each benchmark runs, untimed, on a load that is small; what they print is what they promise."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import forward
import limit
import numpy as np
import ours
import pytest
import zarr
from loads import LOADS
from whole_pass import whole_scores

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
