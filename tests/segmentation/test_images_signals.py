"""Signals to a command that segments several images at once: all end, and all go on later."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

BIGUNET = Path(sys.executable).with_name("bigunet")
ENDS = {
    signal.SIGINT: (130, "Interrupted; go on with the same command and --resume."),
    signal.SIGTERM: (143, "Terminated; go on with the same command and --resume."),
    signal.SIGUSR1: (
        75,
        "(Image .*: s|S)topped as asked: .* are done; go on with the same command and --resume.",
    ),
}


def wait_for_some_at_work(process: subprocess.Popen[str], out: Path) -> None:
    until = time.monotonic() + 60
    while sum(b"\n" in path.read_bytes() for path in out.rglob("*.jsonl")) < 3:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("number", ENDS)
def test_a_signal_ends_all_images_at_work_in_one_line(
    number: signal.Signals, bigunet: Any, tmp_path: Path, tiny_model: Path, write_image: Any
) -> None:
    for name in "abcdefghijkl":
        # Four blocks each: two images are at work at a time for the three threads.
        write_image(tmp_path / "in" / f"{name}.zarr", shape=(30, 30))
    out = tmp_path / "out"
    command = [
        "segment", tmp_path / "in", "--into", out, "--model", tiny_model, "--cluster", "threads",
        "--block-shape", "16,16", "--quiet",
    ]  # fmt: skip
    process = subprocess.Popen(
        [BIGUNET, *map(str, command)], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        wait_for_some_at_work(process, out)
        os.killpg(process.pid, number)
        _, err = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    code, line = ENDS[number]
    said = [text for text in err.splitlines() if text]
    assert (process.returncode, len(said)) == (code, 1), err
    assert re.fullmatch(line, said[0])
    again = bigunet(*command, "--resume", "--json")
    assert again.code == 0, again.err
    assert all(report["finished"] for report in again.json["images"].values())
