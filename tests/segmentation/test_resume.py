"""A run that is killed with -9 and resumed writes the same bytes as one without interruption."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import zarr

import bigunet
from bigunet import SegmentOptions
from bigunet.errors import ResumeError

_RUN_FILES = {"ledger.jsonl", "report.json", "report.html", "run.toml"}


def contents(store: Path) -> dict[str, bytes]:
    """Every file of an output, without the record of the run."""
    return {
        str(path.relative_to(store)): path.read_bytes()
        for path in sorted(store.rglob("*"))
        if path.is_file() and path.name not in _RUN_FILES
    }


def records(store: Path) -> list[dict]:
    lines = (store / "bigunet" / "ledger.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def num_records(store: Path) -> int:
    """Number of whole lines of a ledger; 0 if it does not exist yet."""
    ledger = store / "bigunet" / "ledger.jsonl"
    return ledger.read_bytes().count(b"\n") if ledger.exists() else 0


@pytest.fixture
def image(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (1400, 1300)).astype(np.uint8)
    array = zarr.create_array(
        str(tmp_path / "in.zarr"), shape=pixels.shape, chunks=(256, 256), dtype="uint8"
    )
    array[:] = pixels
    return tmp_path / "in.zarr"


def command(image: Path, output: Path, model: Path, *extra: str) -> list[str]:
    return [
        sys.executable, "-m", "bigunet_cli.main", "segment", str(image), str(output),
        "--model", str(model), "--block-shape", "128,128", "--output", "classes",
        "--output", "probabilities", "--quiet", *extra,
    ]  # fmt: skip


@pytest.mark.slow
def test_killed_at_random_moments_the_output_is_the_same_to_the_byte(
    image: Path, tiny_model: Path, tmp_path: Path
) -> None:
    subprocess.run(command(image, tmp_path / "whole.zarr", tiny_model), check=True)
    total = len(records(tmp_path / "whole.zarr"))
    output = tmp_path / "out.zarr"
    extra: tuple[str, ...] = ()
    # Moments from before the first block to the last one, in the order of the ledger.
    for moment in sorted(random.Random().sample(range(total), 3)):
        process = subprocess.Popen(
            command(image, output, tiny_model, *extra), start_new_session=True
        )
        while process.poll() is None and num_records(output) < moment:
            time.sleep(0.005)
        time.sleep(random.uniform(0, 0.05))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert num_records(output) >= moment
        extra = ("--resume",)
    subprocess.run(command(image, output, tiny_model, "--resume"), check=True)
    assert contents(output) == contents(tmp_path / "whole.zarr")
    blocks = [(r["stage"], r["block"]) for r in records(output)[1:]]
    assert len(blocks) == len(set(blocks)), "a finished block was computed again"


def test_after_a_killed_overwrite_no_block_counts_as_done(
    image, tiny_model, tmp_path, client
) -> None:
    output, arguments = tmp_path / "out.zarr", {"model": tiny_model, "client": client}
    bigunet.segment(image, output, **arguments)
    before = contents(output)
    # The state after the ledger was emptied, and some of the other files were removed.
    (output / "bigunet" / "ledger.jsonl").write_bytes(b"")
    shutil.rmtree(output / "labels" / "classes" / "0" / "c")
    (output / "zarr.json").unlink()
    bigunet.segment(image, output, existing="resume", **arguments)
    assert contents(output) == before


def test_resume_computes_only_what_is_missing(image, tiny_model, tmp_path, client) -> None:
    options = SegmentOptions(block_shape=(512, 512))
    output = tmp_path / "out.zarr"
    bigunet.segment(image, output, model=tiny_model, options=options, client=client)
    before = contents(output)
    ledger = output / "bigunet" / "ledger.jsonl"
    lines = ledger.read_bytes().splitlines(keepends=True)
    ledger.write_bytes(b"".join(lines[:4]) + lines[4][:7])
    report = bigunet.segment(
        image, output, model=tiny_model, options=options, client=client, existing="resume"
    )
    assert report.blocks_done == report.plan.grid.num_blocks - 3
    assert contents(output) == before


def test_resume_refuses_another_run_and_says_what_differs(
    image, tiny_model, tmp_path, client
) -> None:
    output = tmp_path / "out.zarr"
    bigunet.segment(
        image, output, model=tiny_model, client=client,
        options=SegmentOptions(block_shape=(1024, 1024)),
    )  # fmt: skip
    with pytest.raises(ResumeError, match=r"block_shape was \[1024, 1024\], is \[512, 512\]"):
        bigunet.segment(
            image, output, model=tiny_model, client=client, existing="resume",
            options=SegmentOptions(block_shape=(512, 512)),
        )  # fmt: skip
