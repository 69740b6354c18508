"""Two processes that share each step learn as one process with twice the batch, or end together."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from PIL import Image
from support.training_images import BIGUNET, OPTIONS, quick, write_folders
from support.training_parts import (
    failing_while_the_other_waits,
    interrupted,
    lead_one_that_is_busy,
    lost_before_it_meets_the_others,
    never_ready,
)

from bigunet import load_model, train
from bigunet.errors import BigUNetError, ClusterError
from bigunet.events import StepDone, TrainEvent
from bigunet.options.choices import DeviceChoice
from bigunet.training.run import start
from bigunet.training.run.together import run_together

pytestmark = pytest.mark.slow

# One GPU cannot serve two processes.
DEVICE: DeviceChoice = "auto" if torch.cuda.device_count() > 1 else "cpu"
SHARED = replace(OPTIONS, processes=2, device=DEVICE)


def test_two_processes_with_a_batch_of_one_learn_as_one_with_a_batch_of_two(tmp_path: Path) -> None:
    write_folders(tmp_path)
    results = []
    for processes, batch in ((1, 2), (2, 1)):
        out = tmp_path / f"{processes}.safetensors"
        report = train(
            tmp_path / "images",
            tmp_path / "labels",
            out=out,
            options=replace(SHARED, processes=processes),
            recipe=quick(batch=batch, optimiser="sgd", momentum=0.9),
        )
        results.append((report, load_model(out)))
    (one, first), (two, second) = results
    for name, tensor in first.module.state_dict().items():
        torch.testing.assert_close(
            second.module.state_dict()[name], tensor, atol=1e-5, rtol=1e-4, msg=name
        )
    assert one.score == pytest.approx(two.score, abs=0.02)
    assert first.description.training["patches"] == second.description.training["patches"]


def test_an_error_in_any_process_is_reported_once_in_one_line(tmp_path: Path, capfd) -> None:
    write_folders(tmp_path)
    # The first patch of the second process comes from an image with NaN.
    for path in sorted((tmp_path / "images").iterdir()):
        with Image.open(path) as picture:
            grey = np.asarray(picture)
        path.unlink()
        noisy = grey.astype(np.float32)
        noisy[:, ::7] = np.nan
        Image.fromarray(noisy).save(path.with_suffix(".tif"))
    with pytest.raises(BigUNetError, match="NaN or infinite"):
        train(
            tmp_path / "images",
            tmp_path / "labels",
            out=tmp_path / "m.safetensors",
            options=SHARED,
            recipe=quick(),
        )
    assert "Traceback" not in capfd.readouterr().err


def test_more_gpus_than_there_are_is_an_error(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there are GPUs")
    write_folders(tmp_path)
    with pytest.raises(ClusterError, match="process 0 has no GPU of its own: there are 0"):
        train(
            tmp_path / "images",
            tmp_path / "labels",
            out=tmp_path / "m.safetensors",
            options=replace(OPTIONS, device="cuda"),
            recipe=quick(),
        )


def test_fewer_gpus_than_processes_is_an_error_before_any_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folders(tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    started: list[object] = []
    monkeypatch.setattr(start, "run_together", lambda *given: started.append(given))
    with pytest.raises(ClusterError, match=r"process 2 has no GPU of its own: there are 2; .*cpu"):
        train(
            tmp_path / "images",
            tmp_path / "labels",
            out=tmp_path / "m.safetensors",
            options=replace(OPTIONS, processes=3),
            recipe=quick(),
        )
    assert not started


def test_only_the_starting_process_reacts_to_an_interruption() -> None:
    messages: list[object] = []
    assert run_together(interrupted, 2, messages.append) == "result of 0"
    assert "0 is here" in messages


def test_a_process_lost_before_it_meets_the_others_ends_them(tmp_path: Path) -> None:
    part = partial(lost_before_it_meets_the_others, folder=tmp_path)
    with pytest.raises(ClusterError, match=r"process 1 ended while it started \(exit code 3\)"):
        run_together(part, 2, _ignore)
    assert not multiprocessing.active_children()


def test_a_process_that_does_not_start_ends_the_others() -> None:
    with pytest.raises(ClusterError, match=r"process [01] did not start in time"):
        run_together(never_ready, 2, _ignore, start_seconds=1)
    assert not multiprocessing.active_children()


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (KeyError("name"), "KeyError: 'name'"),
        (
            RuntimeError("out of memory"),
            "RuntimeError: out of memory",
        ),  # the class of torch's errors
    ],
)
def test_an_unforeseen_error_is_reported_and_not_the_error_that_follows_from_it(
    tmp_path: Path, error: Exception, message: str
) -> None:
    part = partial(failing_while_the_other_waits, folder=tmp_path, error=error)
    with pytest.raises(ClusterError, match=f"^training process 1 failed: {message}"):
        run_together(part, 2, _ignore)
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_that_is_killed_ends_the_others(tmp_path: Path, capfd, rank: int) -> None:
    write_folders(tmp_path)

    def kill_one(event: TrainEvent) -> None:
        if isinstance(event, StepDone) and event.step == 3:
            one = next(p for p in multiprocessing.active_children() if p.name == f"train-{rank}")
            one.kill()

    with pytest.raises(ClusterError, match=f"process {rank} was lost .SIGKILL.*--resume$"):
        train(
            tmp_path / "images",
            tmp_path / "labels",
            out=tmp_path / "m.safetensors",
            options=SHARED,
            recipe=quick(steps=100_000),
            on_event=kill_one,
        )
    assert not multiprocessing.active_children()
    assert capfd.readouterr().err == ""


def test_the_others_end_if_the_starting_process_is_killed(tmp_path: Path) -> None:
    leader = multiprocessing.get_context("spawn").Process(
        target=lead_one_that_is_busy, args=(tmp_path,)
    )
    leader.start()
    try:
        while not (tmp_path / "process-0").exists():
            assert leader.is_alive()
            time.sleep(0.1)
        other = psutil.Process(int((tmp_path / "process-0").read_text()))
    finally:
        leader.kill()
        leader.join()
    assert all_end([other])


def test_a_command_that_is_interrupted_says_so_and_leaves_no_process(tmp_path: Path) -> None:
    with command(tmp_path, loaders=1) as process:
        others = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait() == 130
    assert all_end(others)
    output = (tmp_path / "err").read_text().split("\n")
    assert output == ["", "Interrupted; go on with the same command and --resume.", ""]


def test_a_command_that_loses_a_process_says_so_in_one_line(tmp_path: Path) -> None:
    with command(tmp_path, loaders=0) as process:
        others = psutil.Process(process.pid).children(recursive=True)
        started_by(process.pid)[1].kill()
        assert process.wait() == 1
    # Their output is complete when the last of them has ended.
    assert all_end(others)
    output = (tmp_path / "err").read_text()
    assert re.fullmatch(r"Error: training process 1 was lost .SIGKILL.*--resume\n", output)


@contextmanager
def command(folder: Path, *, loaders: int) -> Iterator[subprocess.Popen[bytes]]:
    """A training that never ends by itself, after its first row, in its own process group."""
    write_folders(folder)
    small = "--width 4 --depth 1 --patch 24 --validate-every 4 --steps 100000 --quiet"
    shared = f"--processes 2 --loaders {loaders} --device {DEVICE}"
    words = f"train images labels --out m.safetensors {small} {shared}".split()
    with (folder / "err").open("wb") as err:
        process = subprocess.Popen(
            [BIGUNET, *words], cwd=folder, stderr=err, start_new_session=True
        )
    try:
        while not (folder / "m.training" / "curves.csv").exists():
            assert process.poll() is None
            time.sleep(0.1)
        yield process
    finally:
        process.kill()
        process.wait()


def started_by(pid: int | None) -> list[psutil.Process]:
    """The processes of a training, in their order."""
    children = psutil.Process(pid).children()
    return [one for one in children if any("spawn_main" in word for word in one.cmdline())]


def all_end(others: list[psutil.Process]) -> bool:
    """Whether all end in the time that a very busy machine needs."""
    return not psutil.wait_procs(others, timeout=120)[1]


def _ignore(message: object) -> None:
    pass
