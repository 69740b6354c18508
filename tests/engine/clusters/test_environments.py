"""Laws of workers with other packages. Each is a separate process, as on another host."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import zarr
from distributed import Client, LocalCluster

import bigunet
from bigunet import SegmentOptions
from bigunet.engine.clusters.client import check_client
from bigunet.engine.clusters.environments import differences
from bigunet.errors import ClusterError
from bigunet.events import BlockDone, Event

HERE = {"bigunet": "0.1.0", "python": "3.11.7", "torch": "2.13.0+cpu", "zarr": "3.1.6"}


@pytest.fixture
def cluster() -> Iterator[Client]:
    """A scheduler, and no worker."""
    with (
        LocalCluster(
            n_workers=0, host="127.0.0.1", protocol="tcp", dashboard_address="127.0.0.1:0"
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


@contextmanager
def worker(client: Client, folder: Path, **packages: str) -> Iterator[str]:
    """Start a worker with other versions of some packages; give its address when it has joined."""
    folder.mkdir()
    for name, version in packages.items():
        metadata = folder / f"{name}-{version}.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
    path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH", ""))))
    with subprocess.Popen(
        [
            sys.executable, "-m", "distributed.cli.dask_worker", client.scheduler.address,
            "--host", "127.0.0.1", "--no-dashboard", "--no-nanny", "--nthreads", "2",
        ],
        env=os.environ | {"PYTHONPATH": path}, cwd=folder, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        before = set(client.nthreads())
        try:
            client.wait_for_workers(len(before) + 1, timeout=60)
            yield next(iter(set(client.nthreads()) - before))
        finally:
            process.kill()


@pytest.mark.slow
def test_workers_with_other_versions_are_named_before_they_get_work(
    cluster: Client, tmp_path: Path
) -> None:
    with worker(cluster, tmp_path / "same"):
        check_client(cluster)
        with worker(cluster, tmp_path / "other", bigunet="0.0.9", torch="1.13.1") as address:
            with pytest.raises(ClusterError) as caught:
                check_client(cluster)
            message = str(caught.value)
            assert message.startswith(f"worker {address} on ")
            assert f"bigunet 0.0.9 (here {bigunet.__version__}), torch 1.13.1 (here 2." in message
            assert sys.executable in message


@pytest.mark.slow
def test_a_worker_without_bigunet_is_named(cluster: Client, tmp_path: Path) -> None:
    # The worker has only the packages that Dask needs.
    site = Path(zarr.__file__).parents[1]
    for entry in site.iterdir():
        if "bigunet" not in entry.name and entry.suffix != ".pth":
            (tmp_path / entry.name).symlink_to(entry)
    with subprocess.Popen(
        [
            os.path.realpath(sys.executable), "-m", "distributed.cli.dask_worker",
            cluster.scheduler.address, "--host", "127.0.0.1", "--no-dashboard", "--no-nanny",
        ],
        env=os.environ | {"PYTHONPATH": str(tmp_path)}, stderr=subprocess.DEVNULL, cwd=tmp_path,
    ) as process:  # fmt: skip
        try:
            with pytest.raises(ClusterError, match=r"worker tcp://.* has no bigunet \(here "):
                check_client(cluster)
        finally:
            process.kill()


@pytest.mark.slow
def test_a_worker_that_joins_later_is_named_too(
    cluster: Client, tiny_model: Path, tmp_path: Path
) -> None:
    array = zarr.create_array(
        str(tmp_path / "in.zarr"), shape=(600, 600), chunks=(200, 200), dtype="uint8"
    )
    array[:] = np.random.default_rng(0).integers(0, 256, array.shape, np.uint8)
    joined: list[str] = []

    def join(event: Event) -> None:
        if isinstance(event, BlockDone) and not joined:
            held.append(worker(cluster, tmp_path / "other", bigunet="0.0.9"))
            joined.append(held[0].__enter__())

    held: list = []
    try:
        with (
            worker(cluster, tmp_path / "same"),
            pytest.raises(ClusterError, match=r"bigunet 0\.0\.9") as caught,
        ):
            bigunet.segment(
                tmp_path / "in.zarr", tmp_path / "out.zarr", model=tiny_model, client=cluster,
                options=SegmentOptions(block_shape=(32, 32)), on_event=join,
            )  # fmt: skip
    finally:
        for context in held:
            context.__exit__(None, None, None)
    assert joined[0] in str(caught.value)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"zarr": "3.1.9"}, []),
        ({"zarr": "3.2.0"}, ["zarr 3.2.0 (here 3.1.6)"]),
        ({"python": "3.12.1"}, ["python 3.12.1 (here 3.11.7)"]),
        ({"torch": "2.13.0+cu130"}, []),
        ({"torch": "2.12.0+cpu"}, ["torch 2.12.0+cpu (here 2.13.0+cpu)"]),
        ({"bigunet": "0.1.1"}, ["bigunet 0.1.1 (here 0.1.0)"]),
        ({"openvino": "2026.1.0"}, []),
        ({"bigunet": "", "torch": ""}, ["no bigunet (here 0.1.0)", "no torch (here 2.13.0+cpu)"]),
    ],
)
def test_only_patch_versions_may_differ(change: dict[str, str], expected: list[str]) -> None:
    assert differences(HERE | change, HERE) == expected


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ("2026.1.4", []),
        ("2025.4.0", ["openvino 2025.4.0 (here 2026.1.0)"]),
        ("", ["no openvino (here 2026.1.0)"]),
    ],
)
def test_workers_need_openvino_if_the_client_has_it(there: str, expected: list[str]) -> None:
    here = HERE | {"openvino": "2026.1.0"}
    assert differences(HERE | {"openvino": there}, here) == expected
