"""Laws of ``--cluster cuda``, on the real dask-cuda: a worker for each GPU, and the CPU's bytes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import zarr
from distributed import Client
from support.stored import contents

TWO = "8000000000,24000000000"
MIG = "80000000000/10000000000/20000000000"

# Prints the memory of every worker's GPU, and ends when its stdin is closed.
CLUSTER = """
import json, os, sys
from bigunet.engine.clusters.client import ClusterSpec, open_client
from bigunet.engine.clusters.cuda import gpu_bytes_of

if __name__ == "__main__":
    with open_client(ClusterSpec(sys.argv[1], host="127.0.0.1")) as client:
        print(client.scheduler.address, json.dumps(sorted(gpu_bytes_of(client))), flush=True)
        sys.stdin.read()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "gpus", "names", "memory"),
    [
        ("cuda", TWO, ["0", "1"], [8_000_000_000, 24_000_000_000]),
        (
            "auto",
            MIG,
            [f"MIG-0000000{k}-0000-0000-0000-000000000000" for k in (1, 2)],
            [10_000_000_000, 20_000_000_000],
        ),
    ],
)
def test_each_worker_has_a_gpu_of_its_own_and_keeps_it_when_it_is_killed(
    with_gpus, tmp_path: Path, kind: str, gpus: str, names: list[str], memory: list[int]
) -> None:
    script = tmp_path / "cluster.py"
    script.write_text(CLUSTER)
    with subprocess.Popen(
        [sys.executable, script, kind],
        env=with_gpus(gpus), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            address, printed = process.stdout.readline().split(maxsplit=1)
            assert json.loads(printed) == memory
            with Client(address) as client:
                before = seen(client)
                assert sorted(before) == names
                # One computes, one reads the next block, one writes the last.
                assert {threads for _, threads in before.values()} == {3}
                victim, _ = before[names[1]]
                os.kill(victim, signal.SIGKILL)
                after = seen_again(client, names, without=victim)
            assert after[names[0]] == before[names[0]]
            assert after[names[1]][0] != victim
        finally:
            process.stdin.close()
            process.wait(60)


def seen(client: Client) -> dict[str, tuple[int, int]]:
    """Process and threads of the worker of each device."""

    def look(dask_worker: Any) -> tuple[str, tuple[int, int]]:
        device = os.environ["CUDA_VISIBLE_DEVICES"].split(",")[0]
        return device, (os.getpid(), dask_worker.state.nthreads)

    return dict(client.run(look, on_error="ignore").values())


def seen_again(client: Client, names: list[str], *, without: int) -> dict[str, tuple[int, int]]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        devices = seen(client)
        if sorted(devices) == names and all(pid != without for pid, _ in devices.values()):
            return devices
        time.sleep(0.2)
    raise AssertionError(devices)


REFUSALS = """
import os
from bigunet.engine.clusters.client import ClusterSpec, open_client
from bigunet.errors import ClusterError

def try_it(gpus, workers=None):
    os.environ["FAKE_NVML_GPUS"] = gpus
    try:
        open_client(ClusterSpec("cuda", workers=workers)).__enter__()
    except ClusterError as error:
        print(error)

try_it("")
try_it("8,24", 3)
os.environ["CUDA_VISIBLE_DEVICES"] = ""
try_it("8,24")
"""


def test_one_line_says_why_there_can_be_no_cluster(with_gpus, ask) -> None:
    printed = ask(REFUSALS, with_gpus("")).splitlines()
    assert printed == [
        "no GPU can be used here: try --cluster local",
        "3 workers, but 2 GPU(s): each worker needs its own; give --workers 2 at most, or "
        "--cluster local",
        "no GPU can be used here with CUDA_VISIBLE_DEVICES='': try --cluster local",
    ]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cuda") / "in.zarr"
    array = zarr.create_array(str(path), shape=(900, 700), chunks=(256, 256), dtype="uint8")
    array[:] = np.random.default_rng(0).integers(0, 256, array.shape, np.uint8)
    return path


def command(image: Path, output: Path, model: Path, *extra: str) -> list[str]:
    return [
        sys.executable, "-m", "bigunet_cli.main", "segment", str(image), str(output),
        "--model", str(model), "--block-shape", "64,64", "--precision", "fp32",
        "--backend", "torch", "--output", "classes", "--output", "probabilities",
        "--device", "cpu", "--quiet", *extra,
    ]  # fmt: skip


@pytest.mark.slow
def test_with_a_worker_killed_in_its_midst_the_bytes_are_those_of_one_cpu(
    with_gpus, image: Path, tiny_model: Path, tmp_path: Path
) -> None:
    alone, output = tmp_path / "alone.zarr", tmp_path / "out.zarr"
    # --device cpu: --cluster auto starts no worker for a GPU that nobody would use.
    subprocess.run(command(image, alone, tiny_model), env=with_gpus(TWO), check=True)
    with subprocess.Popen(
        command(image, output, tiny_model, "--cluster", "cuda"),
        env=with_gpus(TWO), stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        ledger = output / "bigunet" / "ledger.jsonl"
        while process.poll() is None and num_lines(ledger) < 20:
            time.sleep(0.01)
        workers = [p for p in psutil.Process(process.pid).children() if is_worker(p)]
        assert len(workers) == 2
        workers[0].kill()
        assert num_lines(ledger) < 166
        _, printed = process.communicate(timeout=120)
    assert process.returncode == 0, printed
    assert contents(output) == contents(alone)


def num_lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def is_worker(process: psutil.Process) -> bool:
    return "spawn_main" in " ".join(process.cmdline())
