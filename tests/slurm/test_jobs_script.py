"""Scripts of `bigunet jobs slurm` run on a real Slurm, and write the bytes of one process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from support.slurm_daemons import Slurm, wait
from support.stored import contents

import bigunet as library
from bigunet import SegmentOptions

pytestmark = pytest.mark.slow

MEMORY_LIMIT = 2 * 10**9
# So many blocks that a part still computes when the signal comes.
BLOCK, NUM_BLOCKS = 32, 24 * 16


OPTIONS = SegmentOptions(
    block_shape=(BLOCK, BLOCK),
    memory_limit=MEMORY_LIMIT,
    device="cpu",
    precision="fp32",
    backend="torch",
)


@dataclass(frozen=True)
class Place:
    """A folder for a job, an image with a name that a shell could misread, and a model."""

    folder: Path
    image: Path
    model: Path

    @property
    def output(self) -> Path:
        return self.folder / 'the "out put".zarr'


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("script") / "an image's $HOME.zarr"
    array = zarr.create_array(str(path), shape=(750, 500), chunks=(256, 256), dtype="uint8")
    array[:] = np.random.default_rng(0).integers(0, 256, array.shape, np.uint8)
    return path


@pytest.fixture(scope="module")
def whole(image: Path, tiny_model: Path, client: Any) -> dict[str, bytes]:
    output = image.parent / "whole.zarr"
    library.segment(image, output, model=tiny_model, options=OPTIONS, client=client)
    return contents(output)


@pytest.fixture
def place(tmp_path: Path, image: Path, tiny_model: Path) -> Place:
    return Place(tmp_path, image, tiny_model)


def script(bigunet: Any, place: Place, *arguments: str) -> Path:
    printed = bigunet(
        "jobs", "slurm", place.image, place.output, f"--model={place.model}",
        f"--block-shape={BLOCK},{BLOCK}", f"--memory-limit={MEMORY_LIMIT}", "--device=cpu",
        "--precision=fp32", "--backend=torch", "--cpus=2", *arguments,
    )  # fmt: skip
    assert printed.code == 0, printed.err
    path = place.folder / "job.sh"
    path.write_text(printed.out)
    return path


@pytest.mark.parametrize(
    ("way", "jobs", "ledger", "num_dashboards"),
    [
        # A small image runs in threads, which have no dashboard.
        (["--way=array", "--jobs=2"], ("_1", "_2"), "part-1-of-2", 0),
        (["--way=dask", "--jobs=2", "--interface=lo"], ("",), "ledger", 2),
    ],
)
def test_a_job_that_gets_the_signal_is_queued_again_and_writes_the_same_bytes(
    slurm: Slurm, bigunet: Any, place: Place, whole: Any, way: list[str], jobs: Any, ledger: str,
    num_dashboards: int,
) -> None:  # fmt: skip
    path = script(bigunet, place, *way)
    job = slurm.sbatch(path, cwd=path.parent)
    wait(lambda: records(place, ledger) > 0, "its first block", timeout=120)
    # Slurm sends this signal when the time is nearly up.
    slurm.run("scancel", "--signal=USR1", "--batch", job + jobs[0])
    wait(lambda: slurm.states(job + jobs[0]) == ["PENDING"], "it to be queued again", timeout=60)
    states = slurm.wait_until_ended(job, timeout=200)
    log = "".join(path.read_text() for path in sorted(place.folder.glob("bigunet-*[0-9].log")))
    assert states == ["COMPLETED"] * len(jobs), log
    assert log.count("Stopped as asked") == log.count("written to") == 1
    assert "Error" not in log
    assert log.count("dashboard:") == num_dashboards
    # The ledgers have no block twice.
    assert records(place) == NUM_BLOCKS
    # The folder with the key is gone.
    assert not list(place.folder.glob(".bigunet-*"))
    assert contents(place.output) == whole


def records(place: Place, name: str = "*") -> int:
    """Number of finished blocks of level 0 in one ledger, or in all ledgers."""
    ledgers = place.output.glob(f"bigunet/{name}.jsonl")
    return sum(path.read_bytes().count(b'"stage":"segment"') for path in ledgers)
