"""A stream that is closed, or that nobody reads, is no reason for a command to fail."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import bigunet

BIGUNET = Path(sys.executable).with_name("bigunet")


def run(command: str, **how: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        capture_output=True,
        text=True,
        timeout=120,
        **how,  # type: ignore[call-overload]
    )


@pytest.mark.parametrize("closed", ["2>&-", "<&- 2>&-"])
def test_a_closed_stderr_changes_nothing(closed: str) -> None:
    done = run(f"{BIGUNET} --version {closed}")
    assert (done.returncode, done.stdout) == (0, f"bigunet, version {bigunet.__version__}\n")


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_a_closed_stdout_changes_nothing_but_the_output(closed: str) -> None:
    done = run(f"{BIGUNET} train --help {closed}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_error_keeps_its_exit_code_where_nobody_can_read_it() -> None:
    assert run(f"{BIGUNET} segment --no-such 2>&-").returncode == 2
    assert run(f"{BIGUNET} segment --level x a b >&- 2>&-").returncode == 1


@pytest.mark.parametrize("reader", ["true", "head -c 1"])
def test_a_pipe_that_nobody_reads_any_more_is_no_error(reader: str) -> None:
    for streams in ("", "2>&1"):
        done = run(f"{BIGUNET} train --help {streams} | {reader}")
        assert (done.returncode, done.stderr) == (0, "")


def test_a_result_that_a_full_disk_does_not_take_is_an_error_of_one_line() -> None:
    done = run(f"{BIGUNET} --help > /dev/full")
    assert done.returncode == 1
    assert done.stderr == "Error: cannot write to stdout: No space left on device\n"
    assert run(f"{BIGUNET} --help 2> /dev/full").returncode == 0


def test_no_file_takes_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import os, sys\n"
        "from bigunet_cli.streams import keep_streams_open\n"
        "keep_streams_open()\n"
        f"file = open({str(tmp_path / 'file')!r}, 'w')\n"
        "assert file.fileno() > 2\n"
        "os.write(2, b'a message of a library')\n"
        "print('words', file=sys.stderr)\n"
    )
    done = run(f"{sys.executable} {script} <&- >&- 2>&-")
    assert done.returncode == 0
    assert (tmp_path / "file").read_text() == ""
