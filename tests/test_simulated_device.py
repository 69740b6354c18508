"""The simulated device takes its time, and a run through it writes what the grey values say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import simulated_device
import zarr
from hypothesis import given
from hypothesis import strategies as st
from simulated_device import Device, SimulatedPredictor, null_network, reckoned

import bigunet
from bigunet.segmentation.run.device import DeviceChoices


class Clock:
    """A clock that only sleep moves; it sleeps a bit too short, as computers may."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += max(0.6 * seconds, 1e-6)


@given(
    rate=st.floats(1e3, 1e9),
    tiles=st.lists(st.tuples(st.integers(1, 10**6), st.floats(0, 10), st.booleans()), max_size=8),
)
def test_the_device_does_one_tile_at_a_time_at_its_rate(
    rate: float, tiles: list[tuple[int, float, bool]]
) -> None:
    clock = Clock()
    device = Device(rate, clock, clock.sleep)
    free_at = clock.now
    for voxels, pause, waits in tiles:
        clock.now += pause
        begun = clock.now
        seconds, end = device.take(voxels)
        assert seconds == pytest.approx(voxels / rate)
        assert end == pytest.approx(max(begun, free_at) + seconds)
        free_at = end
        if waits:
            device.wait_until(end)
            assert clock.now >= end


def test_a_run_writes_the_threshold_for_any_rate_and_any_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The original comes back after the test.
    monkeypatch.setattr(DeviceChoices, "predictor", DeviceChoices.predictor)
    pixels = np.random.default_rng(0).integers(0, 256, (150, 170)).astype(np.uint8)
    zarr.create_array(str(tmp_path / "in.zarr"), data=pixels, chunks=(64, 64))
    model = null_network()
    for rate, block in ((1e6, (64, 128)), (1.0, (128, 64))):
        simulated_device.install(rate)
        report = bigunet.segment(
            tmp_path / "in.zarr", tmp_path / f"{rate}.zarr", model=model,
            block_shape=block, grey_range=((0, 255),),
        )  # fmt: skip
        written = zarr.open_array(str(tmp_path / f"{rate}.zarr" / "labels/classes/0"))[:]
        np.testing.assert_array_equal(written, pixels > 127)
        assert report.compute_seconds == pytest.approx(pixels.size / 1e6 / rate, abs=1e-3)


def test_a_predictor_cuts_the_border_that_the_network_loses() -> None:
    predictor = SimulatedPredictor(Device(1e9), (1, 1))
    tile = np.arange(36, dtype=np.uint8).reshape(1, 6, 6) * 7
    result = predictor.begin(tile, (slice(0, 3), slice(1, 4))).result()
    np.testing.assert_array_equal(result.labels, tile[0, 1:4, 2:5] > 127)


def test_the_reckoning_never_exceeds_the_rate() -> None:
    busy = {"megavoxels_per_second": 40.0, "processor_ms_per_megavoxel": 25.0}
    assert reckoned(busy, rate=500, here=2, there=16) == 320.0
    assert reckoned(busy, rate=200, here=2, there=16) == 200.0
    limited = {"megavoxels_per_second": 50.0, "processor_ms_per_megavoxel": 10.0}
    assert reckoned(limited, rate=50, here=2, there=16) == 50.0
