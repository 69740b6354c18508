"""Laws of a real GPU: the CPU's labels, whatever the precision, the memory and the threads."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import zarr
from distributed import Client

import bigunet
from bigunet import SegmentOptions
from bigunet.engine.clusters.client import ClusterSpec
from bigunet.model.inference.forward import Predictor
from bigunet.model.inference.inputs import GreyRange

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gpu") / "in.zarr"
    array = zarr.create_array(str(path), shape=(1500, 1300), chunks=(256, 256), dtype="uint8")
    array[:] = np.random.default_rng(0).integers(0, 256, array.shape, np.uint8)
    return path


@pytest.fixture(scope="module")
def run(image: Path, tiny_model: Path, client: Client) -> Any:
    """Segment the image, by default in this process; return the report and the labels."""

    def segmented(
        output: Path, *, where: Client | ClusterSpec | None = None, **options: Any
    ) -> tuple[bigunet.SegmentReport, np.ndarray]:
        given = SegmentOptions(backend="torch", block_shape=(512, 512), **options)
        report = bigunet.segment(
            image, output, model=tiny_model, options=given, client=where or client
        )
        return report, np.asarray(zarr.open_array(str(output / "labels/classes/0"))[:])

    return segmented


@pytest.fixture(scope="module")
def cpu_labels(run: Any, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    output = tmp_path_factory.mktemp("cpu") / "out.zarr"
    return np.asarray(run(output, device="cpu", precision="fp32")[1])


def test_in_fp32_labels_are_the_cpus_but_for_rounding(
    run: Any, image: Path, cpu_labels: np.ndarray, tmp_path: Path
) -> None:
    report, labels = run(tmp_path / "out.zarr", device="cuda", precision="fp32")
    assert report.device.startswith("cuda")
    assert report.compute_seconds > 0
    assert (labels != cpu_labels).mean() < 1e-4
    # Recomputed on the CPU: no label differs that rounding cannot explain.
    checked = bigunet.verify(image, tmp_path / "out.zarr")
    assert checked.passed, checked


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_in_half_precision_99_percent_of_the_labels_are_the_same(
    run: Any, cpu_labels: np.ndarray, tmp_path: Path, precision: str
) -> None:
    report, labels = run(tmp_path / "out.zarr", device="cuda", precision=precision)
    assert report.device.startswith("cuda")
    assert (labels == cpu_labels).mean() > 0.99


@pytest.fixture
def little_memory() -> Iterator[None]:
    """20 MB beyond what is held: PyTorch takes that much at once for a tensor of 1 MB or more."""
    torch.cuda.empty_cache()
    _, total = torch.cuda.mem_get_info()
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 20e6) / total)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)


def test_where_memory_ends_tiles_are_halved_and_labels_stay(
    run: Any, cpu_labels: np.ndarray, tmp_path: Path, little_memory: None
) -> None:
    report, labels = run(
        tmp_path / "out.zarr", device="cuda", precision="fp32", tile_shape=(512, 512)
    )
    assert report.smaller_tile, "the tile was not too large"
    assert max(report.smaller_tile) < 512
    assert (labels != cpu_labels).mean() < 1e-4


def test_threads_that_compute_at_the_same_time_do_not_mix_their_tiles(tiny_model: Path) -> None:
    predictor = Predictor(
        bigunet.load_model(tiny_model), GreyRange((0.0,), (255.0,)), device="cuda"
    )
    tiles = np.random.default_rng(0).integers(0, 256, (24, 1, 300, 300), np.uint8)
    inner = (slice(None), slice(None))
    alone = [predictor.predict(tile, inner).labels.copy() for tile in tiles]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda tile: predictor.predict(tile, inner).labels, tiles))
    for one, other in zip(alone, together, strict=True):
        assert np.array_equal(one, other)


@pytest.mark.slow
def test_a_cluster_of_a_worker_per_gpu_computes_on_them(
    run: Any, cpu_labels: np.ndarray, tmp_path: Path
) -> None:
    pytest.importorskip("dask_cuda")
    report, labels = run(tmp_path / "out.zarr", where=ClusterSpec("cuda"), precision="fp32")
    assert report.device.startswith("cuda")
    assert len(report.plan.share.gpu_bytes) == torch.cuda.device_count()
    # CUDA keeps some of a device to itself.
    for known, usable in zip(report.plan.share.gpu_bytes, _usable()):
        assert 0.9 * known < usable <= known
    assert (labels != cpu_labels).mean() < 1e-4


def _usable() -> list[int]:
    return [torch.cuda.mem_get_info(k)[1] for k in range(torch.cuda.device_count())]
