"""The forecast of `plan`: measured on tiles that run here, and proportional to the image."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import zarr

from bigunet import SegmentOptions, plan
from bigunet.segmentation.forecast import forecast
from bigunet.segmentation.pass_times import PassTimes


@pytest.fixture(params=[(600, 500), (1200, 1000)])
def image(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    zarr.create_array(
        str(tmp_path / "in.zarr"), shape=request.param, chunks=(256, 256), dtype="uint8"
    )
    return tmp_path / "in.zarr"


@pytest.mark.parametrize("outputs", [("classes",), ("classes", "probabilities")])
def test_the_forecast_has_all_times_and_leaves_no_file(
    image: Path, tiny_model: Path, outputs: Any, monkeypatch: Any, tmp_path: Path
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    options = SegmentOptions(block_shape=(512, 512), outputs=outputs, device="cpu")
    made = plan(image, model=tiny_model, options=options)
    estimate = forecast(made)
    assert estimate.compute_seconds > 0
    assert estimate.read_seconds > 0
    assert estimate.write_seconds > 0
    assert estimate.seconds >= estimate.compute_seconds
    assert estimate.memory_bytes > made.block_memory_bytes()
    assert estimate.gpu_hours is None
    assert not list(scratch.iterdir())


def test_time_grows_with_the_image(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "bigunet.segmentation.forecast.pass_times",
        lambda *_: PassTimes(0.5, 1.0, 0.0, lambda shape: 0.0),
    )
    monkeypatch.setattr("bigunet.segmentation.forecast._io_seconds", lambda plan, block: (2.0, 3.0))
    monkeypatch.setattr("bigunet.segmentation.forecast.cores", lambda: 5)
    forecasts = []
    for side in (512, 1024, 4096):
        zarr.create_array(
            str(tmp_path / f"{side}.zarr"), shape=(side, side), chunks=(256, 256), dtype="uint8"
        )
        options = SegmentOptions(block_shape=(512, 512), tile_shape=(512, 512), device="cpu")
        forecasts.append(
            forecast(plan(tmp_path / f"{side}.zarr", model=tiny_model, options=options))
        )
    assert [f.compute_seconds for f in forecasts] == pytest.approx([1, 4, 64])
    assert [f.read_seconds for f in forecasts] == pytest.approx([2, 8, 128])
    assert [f.seconds - f.start_seconds for f in forecasts] == pytest.approx([2, 8, 128])
    # Each image has one shape of tile, which is compiled once.
    assert min(f.start_seconds for f in forecasts) >= 0.5


def test_what_a_mask_leaves_out_is_not_counted(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "bigunet.segmentation.forecast.pass_times",
        lambda *_: PassTimes(0.0, 1.0, 0.0, lambda shape: 0.0),
    )
    monkeypatch.setattr("bigunet.segmentation.forecast._io_seconds", lambda plan, block: (2.0, 3.0))
    zarr.create_array(str(tmp_path / "in.zarr"), shape=(2048, 2048), chunks=(256, 256), dtype="u1")
    mask = zarr.create_array(str(tmp_path / "mask.zarr"), shape=(8, 8), chunks=(8, 8), dtype="u1")
    # The mask selects two of sixteen blocks, and one of four tiles of another block.
    mask[0:2, 0:4], mask[7, 7] = 1, 1
    options = SegmentOptions(
        block_shape=(512, 512),
        tile_shape=(256, 256),
        device="cpu",
        mask=str(tmp_path / "mask.zarr"),
    )
    estimate = forecast(plan(tmp_path / "in.zarr", model=tiny_model, options=options))
    assert estimate.compute_seconds == pytest.approx(2 * 4 + 1)
    assert estimate.read_seconds == pytest.approx(3 * 2)
    assert estimate.write_seconds == pytest.approx(16 * 3)


def test_plan_prints_the_forecast_or_reads_no_pixel(
    bigunet: Any, image: Path, tiny_model: Path
) -> None:
    printed = bigunet("plan", image, "--model", tiny_model, "--json").json
    assert printed["forecast"]["seconds"] > 0
    assert (
        "forecast"
        not in bigunet("plan", image, "--model", tiny_model, "--json", "--no-measure").json
    )
    shown = bigunet("plan", image, "--model", tiny_model).out
    assert re.match(r"\d+ blocks?, about (an?|\d+) \w+, \d+\.\d [MG]B of memory\n\n", shown)
    assert "expected memory_bytes" in shown
    words = bigunet("plan", image, "--model", tiny_model, "--no-measure").out
    assert re.match(r"\d+ blocks?; time and memory are not measured\n\n", words)
