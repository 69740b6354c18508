"""Measured tiles: the fastest of those that fit the memory, on a worker or in this process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zarr
from distributed import Client
from forward import model_of
from loads import LOADS

import bigunet
from bigunet import SegmentOptions, UNet
from bigunet.errors import ModelError
from bigunet.segmentation.plan import tuning
from bigunet.segmentation.plan.plan import plan as make_plan
from bigunet.segmentation.plan.tuning import pass_seconds, tuned
from bigunet.segmentation.run.device import DeviceChoices


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "in.zarr"
    array = zarr.create_array(str(path), shape=(700, 900), chunks=(256, 256), dtype="uint8")
    array[:] = np.random.default_rng(0).integers(0, 256, array.shape, np.uint8)
    return path


@pytest.fixture
def model() -> bigunet.Model:
    return model_of(LOADS["tiny"])


@pytest.mark.parametrize("fastest", [0, 1, 2])
def test_the_tile_with_the_least_time_for_a_block_is_chosen(
    image: Path, model: bigunet.Model, fastest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "_SIZES", 8)
    options = SegmentOptions(memory_limit=1_700_000_000, tune=True)
    made = make_plan(image, model=model, options=options)
    candidates = tuning._candidates(made)
    assert len(candidates) >= 3
    seconds = [1.0 / c.count for c in candidates]
    seconds[fastest] /= 2
    monkeypatch.setattr(tuning, "pass_seconds", lambda *_: seconds)
    best = tuned(made)
    assert best.tiling.tile_shape == candidates[fastest].tile
    assert best.options.tile_shape == candidates[fastest].tile
    assert next(best.tiling.tiles(best.grid.box((0, 0)))).input.shape == candidates[fastest].input


def test_a_tile_that_did_not_fit_the_memory_is_not_chosen(
    image: Path, model: bigunet.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "_SIZES", 8)
    made = make_plan(image, model=model, options=SegmentOptions(memory_limit=1_700_000_000))
    candidates = tuning._candidates(made)
    none_but_last: list[float | None] = [None] * len(candidates)
    none_but_last[-1] = 100.0
    monkeypatch.setattr(tuning, "pass_seconds", lambda *_: none_but_last)
    assert tuned(made).tiling.tile_shape == candidates[-1].tile


def test_seconds_are_measured_where_memory_does_not_end(
    model: bigunet.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = type(model.module).forward
    limit = model.receptive_field.input_shape((128, 128))

    def ends(self: UNet, image: object) -> object:
        if image.shape[-1] > limit[-1]:  # type: ignore[attr-defined]
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return forward(self, image)

    monkeypatch.setattr(type(model.module), "forward", ends)
    shapes = [model.receptive_field.input_shape((n, n)) for n in (256, 128, 64)]
    seconds = pass_seconds(model, DeviceChoices("cpu", "torch", "fp32"), shapes)
    assert seconds[0] is None
    assert min(s for s in seconds if s is not None) > 0
    assert len(seconds) == 3


def test_a_run_that_measures_gives_the_labels_of_one_that_does_not(
    image: Path,
    model: bigunet.Model,
    tmp_path: Path,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tuning, "_SIZES", 8)
    labels = []
    for name, tune in (("a", False), ("b", True)):
        options = SegmentOptions(
            precision="fp32", backend="torch", tune=tune, memory_limit=1_700_000_000
        )
        assert len(tuning._candidates(make_plan(image, model=model, options=options))) >= 2
        bigunet.segment(image, tmp_path / name, model=model, options=options, client=client)
        labels.append(zarr.open_array(str(tmp_path / name / "labels/classes/0"))[:])
    assert (labels[0] != labels[1]).mean() < 1e-3


def test_a_network_that_cannot_run_gives_the_error_of_the_run(
    image: Path, model: bigunet.Model, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ModelError("damaged")

    monkeypatch.setattr(tuning, "pass_seconds", fails)
    made = make_plan(image, model=model, options=SegmentOptions(memory_limit=1_700_000_000))
    monkeypatch.setattr(tuning, "_SIZES", 8)
    with pytest.raises(ModelError, match="damaged"):
        tuned(made, client)
