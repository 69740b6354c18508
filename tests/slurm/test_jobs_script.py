"""What `bigunet jobs slurm` prints, run as it is on a real Slurm: the bytes of one process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from slurm_daemons import Slurm, wait

import bigunet as library
from bigunet import SegmentOptions

pytestmark = pytest.mark.slow

MEMORY_LIMIT = 2 * 10**9
BLOCK, NUM_BLOCKS = 32, 19 * 16


@dataclass(frozen=True)
class Place:
    """A folder with an image, under a name that shells could misread, and a model."""

    folder: Path
    model: Path

    @property
    def image(self) -> Path:
        return self.folder / "an image's $HOME.zarr"

    @property
    def output(self) -> Path:
        return self.folder / 'the "out put".zarr'


@pytest.fixture
def place(tmp_path: Path, tiny_model: Path) -> Place:
    found = Place(tmp_path, tiny_model)
    array = zarr.create_array(str(found.image), shape=(600, 500), chunks=(256, 256), dtype="uint8")
    array[:] = np.random.default_rng(0).integers(0, 256, array.shape, np.uint8)
    return found


def script(bigunet: Any, place: Place, *arguments: str) -> Path:
    told = bigunet(
        "jobs", "slurm", place.image, place.output, f"--model={place.model}",
        f"--block-shape={BLOCK},{BLOCK}", f"--memory-limit={MEMORY_LIMIT}", "--device=cpu",
        "--precision=fp32", "--backend=torch", "--cpus=2", *arguments,
    )  # fmt: skip
    assert told.code == 0, told.err
    path = place.folder / "job.sh"
    path.write_text(told.out)
    return path


@pytest.mark.parametrize(
    ("way", "jobs", "said"),
    [
        (["--way=array", "--jobs=2"], ("_1", "_2"), 3),
        (["--way=dask", "--jobs=2", "--interface=lo"], ("",), 2),
    ],
)
def test_a_job_that_is_told_of_its_end_is_queued_again_and_writes_the_same(
    slurm: Slurm, bigunet: Any, place: Place, client: Any, way: list[str], jobs: Any, said: int
) -> None:
    path = script(bigunet, place, *way)
    job = slurm.sbatch(path, cwd=path.parent)
    wait(lambda: records(place) > 5, "the first blocks", timeout=120)
    # As Slurm does when the time is nearly up.
    slurm.run("scancel", "--signal=USR1", "--batch", job + jobs[0])
    wait(lambda: slurm.states(job + jobs[0]) == ["PENDING"], "it to be queued again", timeout=60)
    states = slurm.wait_until_ended(job, timeout=200)
    told = "".join(path.read_text() for path in sorted(place.folder.glob("bigunet-*[0-9].log")))
    assert states == ["COMPLETED"] * len(jobs), told
    assert told.count("Stopped as asked") == told.count("written to") == 1
    assert "Error" not in told
    assert told.count("dashboard:") == said
    # No block was computed twice.
    assert records(place) == NUM_BLOCKS
    # With the key to the workers.
    assert not list(place.folder.glob(".bigunet-*"))

    options = SegmentOptions(
        block_shape=(BLOCK, BLOCK),
        memory_limit=MEMORY_LIMIT,
        device="cpu",
        precision="fp32",
        backend="torch",
    )
    whole = place.folder / "whole.zarr"
    library.segment(place.image, whole, model=place.model, options=options, client=client)
    assert contents(place.output) == contents(whole)


def contents(store: Path) -> dict[str, bytes]:
    """Every file of an output but the record of the run itself."""
    return {
        str(path.relative_to(store)): path.read_bytes()
        for path in sorted(store.rglob("*"))
        if path.is_file() and path.suffix != ".jsonl" and path.name != "report.json"
    }


def records(place: Place) -> int:
    """Blocks of level 0 that the ledgers tell of."""
    ledgers = place.output.glob("bigunet/*.jsonl")
    return sum(path.read_bytes().count(b'"stage":"segment"') for path in ledgers)
