"""Parts of a run: independent processes that together write the bytes of one run."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from support.stored import contents

import bigunet
from bigunet import SegmentOptions
from bigunet.blocks import BlockGrid
from bigunet.engine.ledger import Ledger
from bigunet.errors import BusyError, OptionError, ResumeError, StoppedError
from bigunet.events import BlockDone
from bigunet.geometry import Box
from bigunet.io.output.publish import is_complete
from bigunet.segmentation.run.part import Part
from bigunet.segmentation.run.progress import read_progress

OPTIONS = SegmentOptions(
    block_shape=(128, 128), outputs=("classes", "probabilities"), precision="fp32", backend="torch"
)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("parts") / "in.zarr"
    array = zarr.create_array(str(path), shape=(900, 700), chunks=(256, 256), dtype="uint8")
    array[:] = np.random.default_rng(0).integers(0, 256, array.shape, np.uint8)
    return path


@pytest.fixture(scope="module")
def whole(image: Path, tiny_model: Path, client) -> Path:
    output = image.parent / "whole.zarr"
    bigunet.segment(image, output, model=tiny_model, options=OPTIONS, client=client)
    return output


@settings(deadline=None)
@given(
    shape=st.lists(st.integers(1, 2000), min_size=1, max_size=3),
    count=st.integers(1, 50),
)
def test_parts_partition_the_blocks_each_in_the_order_of_work(shape: list[int], count: int) -> None:
    grid = BlockGrid(Box.of_shape(tuple(shape)), (100,) * len(shape))
    order = {index: number for number, index in enumerate(grid.traversal())}
    taken: Counter = Counter()
    sizes = []
    for number in range(1, count + 1):
        own = list(Part(number, count).traversal(grid))
        assert [order[index] for index in own] == sorted(order[index] for index in own)
        taken.update(own)
        sizes.append(len(own))
    assert taken == Counter(dict.fromkeys(order, 1))
    # The shares are fair: two parts differ by one group of blocks at most.
    assert max(sizes) - min(sizes) <= max(1, grid.num_blocks // (8 * count))


@pytest.mark.parametrize("text", ["0/4", "5/4", "1/0", "1", "a/b", "-1/2", "1/2/3"])
def test_text_that_names_no_part_is_refused(text: str) -> None:
    with pytest.raises(OptionError):
        Part.parse(text)


@pytest.mark.parametrize("count", [1, 2, 5, 99])
def test_parts_one_after_the_other_give_the_bytes_of_one_run(
    image: Path, tiny_model: Path, whole: Path, client, tmp_path: Path, count: int
) -> None:
    output = tmp_path / "out.zarr"
    numbers = list(range(1, count + 1))
    random.Random(count).shuffle(numbers)
    for number in numbers[:7]:
        report = bigunet.segment(
            image, output, model=tiny_model, options=OPTIONS, client=client,
            part=Part(number, count),
        )  # fmt: skip
        last = number == numbers[-1]
        assert report.finished == last == is_complete(str(output))
    if count > 7:
        # A run without a part does the rest.
        report = bigunet.segment(
            image, output, model=tiny_model, options=OPTIONS, client=client, existing="resume"
        )
        assert 0 < report.blocks_done < report.plan.grid.num_blocks
    assert contents(output) == contents(whole)
    assert sum(report.class_shares.values()) == pytest.approx(1)
    assert read_progress(output)["blocks_done"]["segment"] == 48


@pytest.mark.slow
def test_parts_that_are_killed_and_started_again_give_the_bytes_of_one_run(
    image: Path, tiny_model: Path, whole: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.zarr"

    def start(number: int) -> subprocess.Popen:
        return subprocess.Popen(
            [
                "bigunet", "segment", str(image), str(output), "--model", str(tiny_model),
                "--block-shape", "128,128", "--output", "classes", "--output", "probabilities",
                "--precision", "fp32", "--backend", "torch", "--quiet", "--part", f"{number}/3",
            ],
            start_new_session=True, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        )  # fmt: skip

    first = [start(number) for number in (1, 2, 2, 3)]
    wait_for_records(output, 3)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(first[0].pid, signal.SIGKILL)
    errors = [process.communicate(timeout=120)[1] for process in first]
    # Of two processes with the same part, one is refused, or has nothing left to do.
    codes = [process.returncode for process in first]
    assert codes[0] == -signal.SIGKILL
    assert codes[3] == 0, errors[3]
    assert sorted(codes[1:3]) in ([0, 0], [0, 1]), errors
    if 1 in codes[1:3]:
        assert "is being written by another bigunet" in errors[1 + codes[1:3].index(1)]
    again = [start(number) for number in (1, 2, 3)]
    for process in again:
        error = process.communicate(timeout=120)[1]
        assert process.returncode == 0, error
    assert contents(output) == contents(whole)


def wait_for_records(output: Path, count: int) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        ledgers = list(output.glob("bigunet/part-*.jsonl"))
        if sum(path.read_bytes().count(b"\n") - 1 for path in ledgers) >= count:
            return
        time.sleep(0.01)
    raise AssertionError("no block was done")


def test_a_part_of_another_run_is_refused(
    image: Path, tiny_model: Path, client, tmp_path: Path
) -> None:
    output = tmp_path / "out.zarr"
    arguments = {"model": tiny_model, "client": client}
    bigunet.segment(image, output, options=OPTIONS, part=Part(1, 4), **arguments)
    other = SegmentOptions(block_shape=(128, 128), precision="fp32", backend="torch")
    with pytest.raises(ResumeError, match="outputs"):
        bigunet.segment(image, output, options=other, part=Part(2, 4), **arguments)
    with pytest.raises(OptionError, match="overwrite"):
        bigunet.segment(
            image, output, options=OPTIONS, part=Part(2, 4), existing="overwrite", **arguments
        )
    tuned = SegmentOptions(tune=True)
    with pytest.raises(OptionError, match="tune"):
        bigunet.segment(image, output, options=tuned, part=Part(2, 4), **arguments)
    # This lock stands for a process that runs part 2.
    path = output / "bigunet" / "part-2-of-4.jsonl"
    with Ledger(path) as ledger:
        ledger.begin(Ledger.peek(path.with_name("ledger.jsonl"))[0])
        with pytest.raises(BusyError, match="another bigunet"):
            bigunet.segment(image, output, options=OPTIONS, part=Part(2, 4), **arguments)


def test_no_other_run_begins_while_a_part_runs(
    image: Path, tiny_model: Path, client, tmp_path: Path
) -> None:
    output = tmp_path / "out.zarr"
    refused: list[str] = []

    def meanwhile(event: object) -> None:
        for existing in ("overwrite", "resume"):
            with pytest.raises(BusyError) as caught:
                bigunet.segment(
                    image, output, model=tiny_model, options=OPTIONS, existing=existing,
                    client=client,
                )  # fmt: skip
            refused.append(str(caught.value))

    bigunet.segment(
        image, output, model=tiny_model, options=OPTIONS, client=client, part=Part(1, 20),
        on_event=meanwhile,
    )  # fmt: skip
    assert refused


def test_a_run_that_is_asked_to_stop_ends_with_whole_blocks_and_can_go_on(
    image: Path, tiny_model: Path, whole: Path, client, tmp_path: Path
) -> None:
    output = tmp_path / "out.zarr"
    stop = threading.Event()
    with pytest.raises(StoppedError, match="of 48 blocks are done"):
        bigunet.segment(
            image, output, model=tiny_model, options=OPTIONS, client=client, stop=stop,
            on_event=lambda event: stop.set() if isinstance(event, BlockDone) else None,
        )  # fmt: skip
    report = bigunet.segment(
        image, output, model=tiny_model, options=OPTIONS, client=client, existing="resume"
    )
    assert 0 < report.blocks_done < 48
    assert contents(output) == contents(whole)


def test_a_signal_stops_the_command_between_blocks(
    image: Path, tiny_model: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.zarr"
    command = [
        sys.executable, "-m", "bigunet_cli.main", "segment", str(image), str(output),
        "--model", str(tiny_model), "--block-shape", "16,16", "--quiet", "--part", "1/1",
    ]  # fmt: skip
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        wait_for_records(output, 1)
        # Batch systems send the signal to all processes of a job.
        os.killpg(process.pid, signal.SIGUSR1)
        os.killpg(process.pid, signal.SIGUSR1)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 75, error
    assert error.splitlines()[-1].startswith("Stopped as asked: ")
    assert error.splitlines()[-1].endswith("; go on with the same command.")
    assert "Traceback" not in error
    ledger = output / "bigunet" / "part-1-of-1.jsonl"
    assert 1 < ledger.read_bytes().count(b"\n") < 57 * 44


def test_after_an_interrupted_overwrite_no_block_of_earlier_parts_counts(
    image: Path, tiny_model: Path, whole: Path, client, tmp_path: Path
) -> None:
    output = tmp_path / "out.zarr"
    for number in (1, 2):
        bigunet.segment(
            image, output, model=tiny_model, options=OPTIONS, client=client, part=Part(number, 2)
        )
    (output / "bigunet" / "ledger.jsonl").write_bytes(b"")
    with pytest.raises(ResumeError, match="no --part"):
        bigunet.segment(
            image, output, model=tiny_model, options=OPTIONS, client=client, part=Part(1, 2)
        )
    report = bigunet.segment(
        image, output, model=tiny_model, options=OPTIONS, client=client, existing="resume"
    )
    assert report.blocks_done == 48
    assert contents(output) == contents(whole)


def test_incomplete_files_of_other_parts_are_no_foreign_files(
    image: Path, tiny_model: Path, whole: Path, client, tmp_path: Path
) -> None:
    output = tmp_path / "out.zarr"
    (output / "bigunet").mkdir(parents=True)
    for name in ("zarr", "bigunet/zarr", "bigunet/ledger.jsonl"):
        (output / f"{name}.{32 * 'a'}.partial").write_bytes(b"{")
    bigunet.segment(
        image, output, model=tiny_model, options=OPTIONS, client=client, part=Part(1, 1)
    )
    assert contents(output) == contents(whole)


def test_a_line_that_is_being_written_is_not_read(tmp_path: Path) -> None:
    path, other = tmp_path / "ledger", tmp_path / "part"
    whole_line = b'{"stage":"segment","block":1}\n'
    other.write_bytes(b'{"fingerprint":{}}\n' + whole_line + whole_line[:9])
    with Ledger(path, beside=lambda: [other]) as ledger:
        assert ledger.done("segment") == {1}
