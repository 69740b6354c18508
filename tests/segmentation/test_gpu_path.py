"""The path through a GPU gives the bytes of a CPU, on a simulated device that detects races."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zarr
from distributed import Client
from support.fake_gpu import FakeGpu

from bigunet import SegmentOptions, segment
from bigunet.model.inference import forward
from bigunet.model.inference.link import StreamLink
from bigunet.segmentation.segment_report import SegmentReport


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory, write_image) -> Path:
    path = tmp_path_factory.mktemp("image") / "image.zarr"
    write_image(path, shape=(190, 230))
    return path


def run(
    image: Path, target: Path, model: Path, client: Client, tile: tuple[int, ...] = (32, 32)
) -> SegmentReport:
    options = SegmentOptions(
        outputs=("classes", "probabilities"),
        block_shape=(64, 64),
        tile_shape=tile,
        precision="bf16",
        backend="torch",
    )
    return segment(image, target, model=model, options=options, client=client)


def pixels(target: Path) -> list[np.ndarray]:
    return [
        np.asarray(zarr.open_array(target / path, mode="r"))
        for path in ("labels/classes/0", "probabilities/0")
    ]


@pytest.mark.parametrize("most_voxels", [None, 3000])
def test_streams_compute_the_values_that_a_cpu_computes(
    image: Path,
    tiny_model: Path,
    client: Client,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    most_voxels: int | None,
) -> None:
    """Also if its memory ends, so that smaller tiles are needed."""
    gpu = FakeGpu(most_voxels)
    with monkeypatch.context() as patched:
        patched.setattr(forward, "link_to", lambda _: StreamLink(gpu))
        on_gpu = run(image, tmp_path / "gpu.zarr", tiny_model, client)
    on_cpu = run(image, tmp_path / "cpu.zarr", tiny_model, client, on_gpu.smaller_tile or (32, 32))
    for values, expected in zip(pixels(tmp_path / "gpu.zarr"), pixels(tmp_path / "cpu.zarr")):
        np.testing.assert_array_equal(values, expected)
    assert gpu.largest_tile > 0
    assert on_gpu.class_shares == on_cpu.class_shares
    if most_voxels is None:
        assert (on_gpu.smaller_tile, gpu.num_freed) == ((), 0)
        assert on_gpu.tiles_computed == on_cpu.tiles_computed
    else:
        assert on_gpu.smaller_tile
        assert gpu.num_freed == gpu.num_refused > 0


def test_if_memory_ends_in_mid_block_the_run_waits_for_the_tiles_that_have_begun(
    image: Path,
    tiny_model: Path,
    client: Client,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gpu = FakeGpu()
    link = StreamLink(gpu)
    under_way: list[forward.UnderWay] = []
    start = link.run

    def fail_once(values, compute):
        if len(under_way) == 2:
            under_way.append(forward.UnderWay([]))
            assert any(one.landed is not None for one in under_way)
            raise MemoryError("the third tile")
        under_way.append(start(values, compute))
        return under_way[-1]

    monkeypatch.setattr(link, "run", fail_once)
    monkeypatch.setattr(forward, "link_to", lambda _: link)
    report = run(image, tmp_path / "gpu.zarr", tiny_model, client)
    assert report.smaller_tile == (16, 32)
    assert all(one.landed is None for one in under_way)
