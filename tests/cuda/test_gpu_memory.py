"""Laws of tiles for GPUs: as large as the memory of the smallest GPU allows."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path

import pytest
import torch
import zarr
from distributed import Client

import bigunet
from bigunet import SegmentOptions
from bigunet.engine.clusters import cuda
from bigunet.engine.clusters.client import ClusterSpec
from bigunet.errors import ClusterError
from bigunet.io.images.discovery import open_multiscale
from bigunet.segmentation.plan import worker_choice
from bigunet.segmentation.plan.plan import make_plan
from bigunet.segmentation.plan.worker_choice import gpu_bytes, settled

GB = 10**9


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A volume without stored voxels, because plans read none."""
    path = tmp_path_factory.mktemp("volume") / "in.zarr"
    zarr.create_array(str(path), shape=(512, 512, 512), chunks=(64, 64, 64), dtype="uint8")
    return path


@pytest.fixture(scope="module")
def model_3d(tmp_path_factory: pytest.TempPathFactory, write_model) -> Path:
    path = tmp_path_factory.mktemp("models") / "volume.safetensors"
    return write_model(path, ndim=3, width=16, depth=3)


def tile_of(volume: Path, model: Path, *gpus: int) -> tuple[int, ...]:
    made = make_plan(
        open_multiscale(volume),
        bigunet.load_model(model),
        SegmentOptions(precision="fp32", memory_limit=4 * GB),
        workers=1,
        gpu_bytes=gpus,
    )
    return made.tiling.tile_shape


def test_tiles_grow_with_the_memory_of_the_devices_and_the_smallest_counts(
    volume: Path, model_3d: Path
) -> None:
    sizes = [4 * GB, 8 * GB, 24 * GB, 80 * GB]
    tiles = [tile_of(volume, model_3d, size) for size in sizes]
    voxels = [math.prod(tile) for tile in tiles]
    assert voxels == sorted(voxels)
    assert len(set(voxels)) >= 3, tiles
    for one in range(4):
        for other in range(4):
            pair = tile_of(volume, model_3d, sizes[one], sizes[other])
            assert pair == tiles[min(one, other)]
    # A worker without a GPU, or one that shares the host's memory, has the host's share.
    assert tile_of(volume, model_3d, 80 * GB, 0) == tile_of(volume, model_3d)
    # A device that is all but full of CUDA itself still gets a tile.
    assert math.prod(tile_of(volume, model_3d, GB // 2)) > 0


SCRIPT = """
import json, os
import torch
import bigunet
from bigunet.engine.clusters.client import ClusterSpec
from bigunet.segmentation.plan.worker_choice import gpu_bytes, settled

torch.version.cuda = "13.0"  # as in a build that has it
source, model = json.loads(os.environ["WHAT"])
answers = {}
for gpus in ("4000000000", "80000000000", "80000000000,4000000000"):
    os.environ["FAKE_NVML_GPUS"] = gpus
    answers[gpus] = bigunet.plan(source, model=model).tiling.tile_shape
answers["auto"] = settled(None, "auto").kind
answers["auto on a CPU"] = settled(None, "cpu").kind
answers["all"] = gpu_bytes(ClusterSpec("cuda"), "auto")
answers["first"] = gpu_bytes(ClusterSpec("cuda", workers=1), "auto")
answers["two on the first"] = gpu_bytes(ClusterSpec("local", workers=2), "auto")
answers["on a CPU"] = gpu_bytes(ClusterSpec("cuda"), "cpu")
print(json.dumps(answers))
"""


def test_a_plan_asks_the_devices_that_a_run_would_use(
    with_gpus, ask, volume: Path, model_3d: Path
) -> None:
    what = json.dumps([str(volume), str(model_3d)])
    answers = json.loads(ask(SCRIPT, with_gpus("") | {"WHAT": what}))
    small, large, mixed = (answers[k] for k in list(answers)[:3])
    assert mixed == small != large
    assert math.prod(small) < math.prod(large)
    assert answers["auto"] == "cuda"
    assert answers["auto on a CPU"] == "local"
    assert answers["all"] == [80 * GB, 4 * GB]
    assert answers["first"] == [80 * GB]
    assert answers["two on the first"] == [40 * GB]
    assert answers["on a CPU"] == []


def test_the_workers_of_a_client_are_asked_for_their_devices(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    asked: list[object] = []

    def answer(of: Client) -> tuple[int, ...]:
        asked.append(of.scheduler.address)
        return (8 * GB, 0)

    monkeypatch.setattr(worker_choice, "gpu_bytes_of", answer)
    address = client.scheduler.address
    for given in (client, ClusterSpec(scheduler=address)):
        assert gpu_bytes(settled(given, "auto"), "auto") == (8 * GB, 0)
    assert asked == [address, address]


@pytest.mark.skipif(torch.version.cuda is not None, reason="this torch has CUDA")
def test_a_warning_names_gpus_that_torch_cannot_use_and_the_cpu_is_taken(
    bigunet, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cuda, "why_no_cuda_cluster", lambda: "")
    line = "a GPU is here, but this torch"
    with caplog.at_level(logging.WARNING, "bigunet.segmentation.plan.worker_choice"):
        assert settled(ClusterSpec(), "auto").kind == "local"
    assert line in caplog.text
    caplog.clear()
    assert settled(ClusterSpec(), "cpu").kind == "local"
    assert line not in caplog.text
    # And by the command, which shows hardly any other warning.
    bigunet("models")
    assert logging.getLogger("bigunet.segmentation.plan.worker_choice").isEnabledFor(
        logging.WARNING
    )
    assert not logging.getLogger("bigunet.segmentation").isEnabledFor(logging.WARNING)
    with pytest.raises(ClusterError, match=r"--cluster cuda: this torch \(.*\) is built for CPUs"):
        settled(ClusterSpec("cuda"), "auto")
    assert settled(ClusterSpec("cuda"), "cpu").kind == "cuda"
