"""What `plan` foretells: from tiles that ran here, in proportion to the image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import zarr

from bigunet import SegmentOptions, plan
from bigunet.workflows.forecast import forecast


@pytest.fixture(params=[(600, 500), (1200, 1000)])
def image(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    zarr.create_array(
        str(tmp_path / "in.zarr"), shape=request.param, chunks=(256, 256), dtype="uint8"
    )
    return tmp_path / "in.zarr"


@pytest.mark.parametrize("outputs", [("classes",), ("classes", "probabilities")])
def test_all_is_foretold_and_nothing_left_behind(
    image: Path, tiny_model: Path, outputs: Any, monkeypatch: Any, tmp_path: Path
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    options = SegmentOptions(block_shape=(512, 512), outputs=outputs, device="cpu")
    made = plan(image, model=tiny_model, options=options)
    told = forecast(made)
    assert told.compute_seconds > 0
    assert told.read_seconds > 0
    assert told.write_seconds > 0
    assert told.seconds >= told.compute_seconds
    assert told.memory_bytes > made.block_memory_bytes()
    assert told.gpu_hours is None
    assert not list(scratch.iterdir())


def test_time_grows_with_the_image(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bigunet.workflows.forecast._timed", lambda plan, predictor, shape: 1.0)
    monkeypatch.setattr("bigunet.workflows.forecast._io_seconds", lambda plan, block: (2.0, 3.0))
    monkeypatch.setattr("bigunet.workflows.forecast.cores", lambda: 5)
    found = []
    for side in (512, 1024, 4096):
        zarr.create_array(
            str(tmp_path / f"{side}.zarr"), shape=(side, side), chunks=(256, 256), dtype="uint8"
        )
        options = SegmentOptions(block_shape=(512, 512), tile_shape=(512, 512), device="cpu")
        found.append(forecast(plan(tmp_path / f"{side}.zarr", model=tiny_model, options=options)))
    assert [f.compute_seconds for f in found] == pytest.approx([1, 4, 64])
    assert [f.read_seconds for f in found] == pytest.approx([2, 8, 128])
    assert [f.seconds for f in found] == pytest.approx([2, 8, 128])


def test_plan_tells_it_and_reads_no_pixel_if_asked(
    bigunet: Any, image: Path, tiny_model: Path
) -> None:
    told = bigunet("plan", image, "--model", tiny_model, "--json").json
    assert told["forecast"]["seconds"] > 0
    assert (
        "forecast"
        not in bigunet("plan", image, "--model", tiny_model, "--json", "--no-measure").json
    )
    shown = bigunet("plan", image, "--model", tiny_model).out
    assert "expected memory_bytes" in shown
