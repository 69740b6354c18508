"""Memory decides about blocks and tiles, never about labels."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
import zarr
from distributed import Client
from hypothesis import given
from hypothesis import strategies as st

from bigunet import SegmentOptions, load_model, plan, segment
from bigunet.errors import BlockError, OptionError
from bigunet.model.inference import hardware
from bigunet.model.networks.unet import UNet
from bigunet.segmentation.plan.memory_share import MOST_BLOCKS_IN_WORK, MemoryShare


@pytest.fixture
def image(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (700, 600)).astype(np.uint8)
    array = zarr.create_array(str(tmp_path / "in.zarr"), data=pixels, chunks=(128, 128))
    assert array.shape == pixels.shape
    return tmp_path / "in.zarr"


def labels(target: Path) -> np.ndarray:
    return np.asarray(zarr.open_array(str(target / "labels/classes/0"))[:])


@given(
    limit=st.integers(3 * 10**9, 10**12),
    workers=st.integers(1, 2),
    block=st.integers(1, 10**9),
)
def test_blocks_and_a_pass_fit_the_share(limit: int, workers: int, block: int) -> None:
    share = MemoryShare.of(limit, workers)
    assert workers * share.worker_bytes < limit
    blocks = share.blocks_in_work(block)
    assert 1 <= blocks <= MOST_BLOCKS_IN_WORK
    if block <= share.block_bytes:
        assert blocks == MOST_BLOCKS_IN_WORK
        assert blocks * block + share.pass_bytes(block) <= share.worker_bytes


def test_too_little_memory_is_said_and_a_small_machine_still_runs(monkeypatch: Any) -> None:
    with pytest.raises(OptionError, match=r"2 worker\(s\) need 2.7 GB at least"):
        MemoryShare.of(10**9, 2)
    small = psutil.virtual_memory()._replace(total=2 * 10**9)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: small)
    assert MemoryShare.of(0, 1).worker_bytes > 0


def test_the_limit_shrinks_tiles_and_blocks(tmp_path: Path) -> None:
    model = load_model("em-boundaries")
    zarr.create_array(
        str(tmp_path / "in.zarr"), shape=(512, 4096, 4096), chunks=(64,) * 3, dtype="uint16"
    )
    choices = []
    for limit in (2 * 10**9, 4 * 10**9, 16 * 10**9):
        options = SegmentOptions(memory_limit=limit, slab=0)
        made = plan(tmp_path / "in.zarr", model=model, options=options)
        tile = next(made.tiling.tiles(made.grid.box((0, 0, 0)))).input.shape
        held = made.pass_bytes(tile)
        blocks = made.share.blocks_in_work(made.block_memory_bytes())
        assert held + blocks * made.block_memory_bytes() <= made.share.worker_bytes
        choices.append((np.prod(tile), made.grid.num_blocks))
    sizes, blocks = zip(*choices)
    assert list(sizes) == sorted(set(sizes))
    assert list(blocks) == sorted(blocks, reverse=True)
    assert blocks[0] > blocks[-1]


@pytest.mark.parametrize("largest", [120, 200])
def test_where_memory_ends_smaller_tiles_give_the_same_labels(
    image: Path, tiny_model: Path, client: Client, tmp_path: Path, monkeypatch: Any, largest: int
) -> None:
    options = SegmentOptions(block_shape=(256, 256), backend="torch")
    run = {"model": tiny_model, "options": options, "client": client}
    segment(image, tmp_path / "whole.zarr", **run)
    forward = UNet.forward

    def ending(self: UNet, pixels: torch.Tensor) -> torch.Tensor:
        if max(pixels.shape) > largest:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return forward(self, pixels)

    monkeypatch.setattr(UNet, "forward", ending)
    report = segment(image, tmp_path / "out.zarr", **run)
    np.testing.assert_array_equal(labels(tmp_path / "out.zarr"), labels(tmp_path / "whole.zarr"))
    assert report.smaller_tile
    assert max(report.smaller_tile) < largest


def test_where_not_even_the_smallest_tile_fits_that_is_the_error(
    image: Path, tiny_model: Path, client: Client, tmp_path: Path, monkeypatch: Any
) -> None:
    def ending(self: UNet, pixels: torch.Tensor) -> torch.Tensor:
        raise RuntimeError(
            "[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"
        )

    monkeypatch.setattr(UNet, "forward", ending)
    with pytest.raises(BlockError, match="does not hold a forward pass of the smallest tile"):
        segment(
            image,
            tmp_path / "out.zarr",
            model=tiny_model,
            options=SegmentOptions(backend="torch"),
            client=client,
        )


def test_auto_precision_is_what_hardware_and_model_are_made_for(
    tiny_model: Path, image: Path, monkeypatch: Any
) -> None:
    model = load_model(tiny_model)
    both = dataclasses.replace(
        model, description=dataclasses.replace(model.description, precisions=("fp32", "bf16"))
    )
    choices = {}
    for native in (True, False):
        monkeypatch.setattr(hardware, "_cpu_multiplies_bf16", lambda native=native: native)
        options = SegmentOptions(device="cpu")
        choices[native] = [plan(image, model=m, options=options).precision for m in (model, both)]
    assert choices == {True: ["fp32", "bf16"], False: ["fp32", "fp32"]}


@pytest.mark.parametrize(("name", "value"), [("precision", "fp16"), ("device", "cuda")])
def test_what_openvino_has_not_is_refused_before_anything_is_written(name: str, value: str) -> None:
    with pytest.raises(OptionError, match="OpenVINO runs on CPUs in fp32 or bf16"):
        SegmentOptions(backend="openvino", **{name: value})


def test_a_run_goes_on_with_what_it_chose_though_memory_is_another(
    image: Path, tiny_model: Path, client: Client, tmp_path: Path, monkeypatch: Any
) -> None:
    target = tmp_path / "out.zarr"
    run = {"model": tiny_model, "client": client}
    first = segment(image, target, options=SegmentOptions(memory_limit=8 * 10**9), **run)
    (target / "bigunet/report.json").unlink()
    monkeypatch.setattr("bigunet.segmentation.plan.shapes._LARGEST_PLANE_BYTES", 10**6)
    then = segment(image, target, options=SegmentOptions(), existing="resume", **run)
    assert then.plan.tiling.tile_shape == first.plan.tiling.tile_shape
    assert plan(image, model=tiny_model).tiling.tile_shape != first.plan.tiling.tile_shape
