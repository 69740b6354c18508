"""Laws of clusters of several hosts: cut off and back again, or encrypted, the bytes of one run."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import zarr
from distributed import Client
from support.stored import contents

import bigunet
from bigunet import SegmentOptions

BLOCKS = 29 * 22
# Dask's own are meant for networks that stall: minutes.
PATIENCE = {
    "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "5s",
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "5s",
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "12s",  # no less is taken
}
# As batch systems and systemd do: Dask's workers end when they have lost their scheduler.
FOR_EVER = ("sh", "-c", 'while :; do "$@"; done', "sh")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hosts") / "in.zarr"
    array = zarr.create_array(str(path), shape=(900, 700), chunks=(256, 256), dtype="uint8")
    array[:] = np.random.default_rng(0).integers(0, 256, array.shape, np.uint8)
    return path


def segment(image: Path, output: Path, model: Path, *extra: str) -> list[str]:
    return [
        sys.executable, "-m", "bigunet_cli.main", "segment", str(image), str(output),
        "--model", str(model), "--block-shape", "32,32", "--precision", "fp32",
        "--backend", "torch", "--device", "cpu", "--quiet", *extra,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def alone(image: Path, tiny_model: Path, client: Client) -> Path:
    """What one process without a network gives."""
    output = image.parent / "alone.zarr"
    options = SegmentOptions(block_shape=(32, 32), precision="fp32", backend="torch", device="cpu")
    bigunet.segment(image, output, model=tiny_model, options=options, client=client)
    return output


@contextlib.contextmanager
def cluster(network, folder: Path, scheme: str = "tcp", **settings: str) -> Iterator[str]:
    """A scheduler on the first host, a worker on each of the others; the scheduler's address."""
    environment = {**os.environ, **PATIENCE, **settings}
    first, *others = network.hosts
    address = f"{scheme}://{first.address}:8786"
    common = ("--no-dashboard", "--protocol", scheme, "--host")
    started = [
        first.start(
            [sys.executable, "-m", "distributed.cli.dask_scheduler", *common, first.address],
            folder / "scheduler.log", environment,
        )
    ]  # fmt: skip
    for host in others:
        worker = [
            *FOR_EVER, sys.executable, "-m", "distributed.cli.dask_worker", address, *common,
            host.address, "--nthreads", "2", "--no-nanny", "--local-directory", folder,
            # Imported later, torch would keep it from answering for longer than is waited here.
            "--preload", "bigunet.segmentation.run.block",
        ]  # fmt: skip
        started.append(host.start(worker, folder / f"{host.name}.log", environment))
    try:
        wait_for_workers(folder, len(others))
        yield address
    finally:
        for process in started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_for_workers(folder: Path, count: int) -> None:
    """Until so many workers have come to a cluster, those that came back counted anew."""
    deadline = time.monotonic() + 90
    while num_registered(folder) < count:
        assert time.monotonic() < deadline, (folder / "scheduler.log").read_text()
        time.sleep(0.1)


def num_registered(folder: Path) -> int:
    return (folder / "scheduler.log").read_text().count("Register worker")


def num_lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


@pytest.mark.slow
def test_a_host_that_is_cut_off_and_comes_back_changes_no_byte(
    network, image: Path, tiny_model: Path, alone: Path, tmp_path: Path
) -> None:
    output, words = tmp_path / "out.zarr", tmp_path / "run.log"
    first, second, _ = network.hosts
    with cluster(network, tmp_path) as address:
        run = first.start(
            segment(image, output, tiny_model, "--scheduler", address),
            words, {**os.environ, **PATIENCE},
        )  # fmt: skip
        removed = f"removing: <WorkerState 'tcp://{second.address}"
        # First for a moment, which goes unnoticed, then until its worker is given up.
        for share, given_up in ((BLOCKS // 8, False), (BLOCKS // 2, True)):
            while run.poll() is None and num_lines(output / "bigunet" / "ledger.jsonl") < share:
                time.sleep(0.01)
            assert run.poll() is None, words.read_text()
            before = num_registered(tmp_path)
            network.cut(second)
            try:
                time.sleep(1)
                deadline = time.monotonic() + 90
                while given_up and removed not in (tmp_path / "scheduler.log").read_text():
                    assert time.monotonic() < deadline, (tmp_path / "scheduler.log").read_text()
                    time.sleep(0.1)
            finally:
                network.mend(second)
        assert run.wait(120) == 0, words.read_text()
        wait_for_workers(tmp_path, before + 1)
    assert contents(output) == contents(alone)


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Dask's settings for hosts that know one another by a certificate of their own authority."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed, which makes certificates")
    folder = tmp_path_factory.mktemp("tls")
    key, authority = folder / "key.pem", folder / "ca.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "1", "-subj", "/CN=bigunet", "-keyout", key, "-out", authority],
        check=True, capture_output=True,
    )  # fmt: skip
    settings = {"DASK_DISTRIBUTED__COMM__TLS__CA_FILE": str(authority)}
    for role in ("SCHEDULER", "WORKER", "CLIENT"):
        settings[f"DASK_DISTRIBUTED__COMM__TLS__{role}__KEY"] = str(key)
        settings[f"DASK_DISTRIBUTED__COMM__TLS__{role}__CERT"] = str(authority)
    return settings | {"DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "true"}


@pytest.mark.slow
def test_over_encrypted_connections_the_bytes_are_the_same(
    network, image: Path, tiny_model: Path, alone: Path, tmp_path: Path, encrypted
) -> None:
    output, words = tmp_path / "out.zarr", tmp_path / "run.log"
    with cluster(network, tmp_path, "tls", **encrypted) as address:
        command = segment(image, output, tiny_model, "--scheduler", address)
        stranger = network.hosts[0].start(command, words, {**os.environ, **PATIENCE})
        assert stranger.wait(60) == 1
        assert f"no Dask scheduler at {address}: TLS expects" in words.read_text()
        run = network.hosts[0].start(command, words, {**os.environ, **PATIENCE, **encrypted})
        assert run.wait(120) == 0, words.read_text()
    assert contents(output) == contents(alone)
