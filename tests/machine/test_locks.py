"""Laws of locks: one process or several, until they end, however they end."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bigunet.errors import BusyError, OutputError
from bigunet.machine.locks import folder_lock, lock, shared_lock

# Prints a line once it has the lock, and keeps it until it is killed.
_HOLDER = """
import sys, time
from pathlib import Path
from bigunet.machine.locks import folder_lock, lock, shared_lock
kind, path = sys.argv[1], Path(sys.argv[2])
if kind == "alone":
    file = path.open("r+b")
    lock(file, path)
else:
    held = shared_lock(path, path) if kind == "shared" else folder_lock(path, str)
    held.__enter__()
print("ready", flush=True)
time.sleep(60)
"""


@contextlib.contextmanager
def held(kind: str, path: Path) -> Iterator[int]:
    """Another process that holds a lock, and is killed at the end; its number."""
    command = [sys.executable, "-c", _HOLDER, kind, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process.pid
        finally:
            process.kill()


def take_alone(path: Path) -> None:
    with path.open("r+b") as file:
        lock(file, Path("out.zarr"))


def take_shared(path: Path) -> None:
    with shared_lock(path, Path("out.zarr"), patience_seconds=0):
        pass


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(b"a record\n")
    return path


def test_a_file_is_locked_by_one_process_or_shared_by_several(path: Path) -> None:
    with held("alone", path):
        with pytest.raises(BusyError, match=r"^out.zarr is being written by another .* stop it$"):
            take_alone(path)
        with pytest.raises(BusyError, match=r"^out.zarr is being written by another .* for it$"):
            take_shared(path)
    with held("shared", path):
        take_shared(path)
        with pytest.raises(BusyError, match="stop it"):
            take_alone(path)
    # Both were killed.
    take_alone(path)
    assert path.read_bytes() == b"a record\n"


def test_a_shared_lock_needs_the_file(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot open .*: No such file"):
        take_shared(tmp_path / "gone")


def test_a_folder_names_the_process_that_has_it(tmp_path: Path) -> None:
    folder = tmp_path / "m.training"
    with held("folder", folder) as pid:
        with pytest.raises(BusyError, match=f"^taken by pid {pid} on {platform.node()}$"):
            folder_lock(folder, "taken by {}".format).__enter__()
        assert (folder / ".lock").exists()
    with folder_lock(folder, str):
        assert (folder / ".lock").read_text() == f"pid {os.getpid()} on {platform.node()}"
    assert not folder.exists()


def test_a_folder_with_files_stays_without_its_lock_file(tmp_path: Path) -> None:
    (tmp_path / "curves.csv").touch()
    with folder_lock(tmp_path, str):
        pass
    assert [one.name for one in tmp_path.iterdir()] == ["curves.csv"]


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot write .*/file/folder: Not a directory"):
        folder_lock(tmp_path / "file" / "folder", str).__enter__()


def test_where_a_file_system_has_no_locks_one_process_goes_on_and_several_do_not(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with caplog.at_level(logging.WARNING):
        take_alone(path)
        with folder_lock(path.parent / "folder", str):
            pass
    assert caplog.text.count("cannot be locked: start no second run on it") == 2
    with pytest.raises(OutputError, match=r"cannot be locked \(No locks available\): parts need"):
        take_shared(path)
