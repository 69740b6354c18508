"""The measurements of one GPU: bounded in time, noted if they fail, and tried here on the CPU."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import bounded
import gpu
import gpu_page
import pytest
import torch
from bounded import Measurement
from forward_ways import FusedConv, fuse
from hypothesis import given, settings
from hypothesis import strategies as st

from bigunet import UNet, UNetConfig

_SCRIPT = f"""
import os, sys, time
sys.path.insert(0, {str(Path(bounded.__file__).parent)!r})
from bounded import serve

def fail():
    raise ValueError("a | b")

def leave():
    os._exit(3)

def talk(number):
    print("noise", number)
    return {{"number": number, "process": os.getpid()}}

def sleep(seconds):
    time.sleep(seconds)
    return {{}}

serve({{"sleep": sleep, "fail": fail, "leave": leave, "talk": talk}})
"""


def _run(
    tmp_path: Path, measurements: list[Measurement], seconds: float = 60
) -> tuple[list[dict[str, Any]], list[int]]:
    script, lengths = tmp_path / "script.py", []
    script.write_text(_SCRIPT)
    results = bounded.run_all(
        measurements,
        script,
        seconds=seconds,
        record=lambda so_far: lengths.append(len(so_far)),
        log=tmp_path / "log",
    )
    return results, lengths


def test_a_measurement_that_fails_or_hangs_is_noted_and_the_others_go_on(tmp_path: Path) -> None:
    begun = time.monotonic()
    results, lengths = _run(
        tmp_path,
        [
            Measurement("a", "talk", {"number": 1}),
            Measurement("b", "talk", {"number": 2}),
            Measurement("c", "fail"),
            Measurement("d", "sleep", {"seconds": 600}, limit_seconds=0.3),
            Measurement("e", "leave"),
            Measurement("f", "talk", {"number": 6}),
        ],
    )
    assert lengths == [1, 2, 3, 4, 5, 6]
    assert [r["name"] for r in results] == list("abcdef")
    assert results[0]["process"] == results[1]["process"] != results[5]["process"]
    assert results[5]["number"] == 6
    assert results[2]["failed"] == "ValueError: a | b"
    assert results[3]["failed"] == "stopped after 0.3 s"
    assert results[4]["failed"] == "the process ended with code 3"
    assert time.monotonic() - begun < 300
    assert "noise 1" in (tmp_path / "log").read_text()


def test_measurements_after_the_end_of_the_time_are_noted_and_not_begun(tmp_path: Path) -> None:
    late = [Measurement(name, "talk", {"number": 0}) for name in "ab"]
    results, lengths = _run(tmp_path, late, seconds=0.5)
    assert [r["failed"] for r in results] == ["no time was left"] * 2
    assert lengths == [1, 2]


@settings(max_examples=10)
@given(st.integers(1, 2), st.sampled_from((2, 3)), st.booleans())
def test_fused_convolutions_give_the_same_scores_and_leave_the_network_alone(
    depth: int, ndim: int, batch_norm: bool
) -> None:
    config = UNetConfig(ndim=ndim, width=2, depth=depth, batch_norm=batch_norm)
    network = UNet(config).initialise().eval()
    fused = fuse(network)
    shape = config.receptive_field().input_shape((2,) * ndim)
    image = torch.rand(1, 1, *shape)
    with torch.inference_mode():
        assert torch.equal(fused(image), network(image))
    count = sum(isinstance(layer, FusedConv) for layer in fused.modules())
    # With batch normalisation in between, no ReLU follows a convolution.
    assert count == (0 if batch_norm else 2 * (2 * depth + 1))
    assert not any(isinstance(layer, FusedConv) for layer in network.modules())


def test_the_page_says_which_way_is_fastest_and_what_was_not_measured(tmp_path: Path) -> None:
    usual = {
        "name": "x", "task": "forward", "device": "A GPU", "load": "paper", "precision": "bf16",
        "backend": "channels-last", "option": "--backend torch", "flops_per_second": 1e12,
        "microseconds_per_voxel": {"9": 3.0}, "prepared_seconds": 1.0, "labels_equal": 1.0,
        "largest_difference": 0.0, "peak_device_bytes": None,
    }  # fmt: skip
    graph = usual | {"backend": "graph", "option": "", "microseconds_per_voxel": {"9": 2.0}}
    exact = usual | {"precision": "fp32", "microseconds_per_voxel": {"9": 1.0}}
    failed = {"name": "tensorrt", "task": "forward", "failed": "not | installed"}
    gpu_page.write_page(tmp_path, [usual, graph, exact, failed])
    page = (tmp_path / "gpu.md").read_text()
    assert "**paper**: `graph` in bf16 is the fastest, 1.50 × as fast as `--backend torch`" in page
    assert "bigunet has no backend for it yet" in page
    assert "| tensorrt | not \\| installed |" in page


@pytest.mark.slow
def test_the_whole_programme_runs_on_the_cpu_at_a_small_size(tmp_path: Path) -> None:
    folder = gpu.measure(
        tmp_path / "images",
        tmp_path / "out",
        device="cpu",
        minutes=10,
        python=sys.executable,
        sizes=replace(gpu.SMALL, loads=(("tiny-volume", 16),)),
        ways=["channels-last", "fused", "graph"],
        peers=["naive", "window", "torch-em"],
    )
    results = {r["name"]: r for r in json.loads((folder / "gpu.json").read_text())}
    absent = {name.split()[2] for name, r in results.items() if "failed" in r}
    assert {name.partition(":")[0] for name in absent} <= {"graph", "torch-em"}
    assert results["bigunet tiny 1 × 2"]["threads"] == 2
    assert results["program tiny naive:fp32:64"]["differing"] < 1e-3
    (window,) = (r for name, r in results.items() if "window" in name)
    assert 0 < window["differing"] < 0.5
    assert (folder / "gpu.png").stat().st_size > 1000
    assert "## Forward pass" in (folder / "gpu.md").read_text()
