"""Laws of files that are written whole or not at all."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest

from bigunet.machine import files
from bigunet.machine.files import create_once, replace_file, replacing


@pytest.mark.parametrize("sole_writer", [False, True])
def test_the_former_file_stays_until_the_new_one_is_complete(
    tmp_path: Path, sole_writer: bool
) -> None:
    path = tmp_path / "a.json"
    path.write_text("former")
    with replacing(path, sole_writer=sole_writer) as partial:
        partial.write_text("new")
        assert partial.parent == tmp_path
        assert path.read_text() == "former"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("sole_writer", [False, True])
def test_an_error_leaves_the_former_file_and_no_other(tmp_path: Path, sole_writer: bool) -> None:
    path = tmp_path / "a.json"
    path.write_text("former")

    def fail_half_way() -> None:
        with replacing(path, sole_writer=sole_writer) as partial:
            partial.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    assert path.read_text() == "former"
    assert list(tmp_path.iterdir()) == [path]


def test_writers_at_the_same_time_do_not_share_a_temporary_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with replacing(path) as first, replacing(path) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"


def test_a_sole_writer_overwrites_what_a_killed_one_left(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for _ in range(2):
        with replacing(path, sole_writer=True) as partial:
            left = partial
            partial.write_text("new")
        left.write_text("as if killed before the rename")
    assert {one.name for one in tmp_path.iterdir()} == {"a.json", ".a.json.partial"}


def test_a_file_that_does_not_come_to_be_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "a.json"):
        pass
    with pytest.raises(FileNotFoundError):
        create_once(tmp_path / "missing" / "a.json", b"")


def test_of_several_that_create_a_file_the_first_one_does(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    assert create_once(path, b"first")
    assert not create_once(path, b"second")
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_as_long_as_the_file_system_takes_is_written(tmp_path: Path) -> None:
    for name in ("a" * 255, "ä" * 127):
        with replacing(tmp_path / name) as partial:
            partial.write_text("whole")
        assert (tmp_path / name).read_text() == "whole"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_file_is_created_once_where_the_file_system_has_no_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "ledger.jsonl"
    assert create_once(path, b"first")
    assert not create_once(path, b"second")
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_on_windows_a_file_that_another_process_has_open_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new, path = tmp_path / "new", tmp_path / "a.json"
    refusals = [PermissionError(errno.EACCES, "open elsewhere")] * 3
    replace = Path.replace

    def busy(one: Path, other: Path) -> Path:
        if refusals:
            raise refusals.pop()
        return replace(one, other)

    monkeypatch.setattr(Path, "replace", busy)
    new.write_text("new")
    with pytest.raises(PermissionError):
        replace_file(new, path)
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(files, "_PAUSE_SECONDS", 0)
    replace_file(new, path)
    assert path.read_text() == "new"
    assert refusals == []
    # It does not wait for ever.
    refusals.extend([PermissionError(errno.EACCES, "open elsewhere")] * 99)
    monkeypatch.setattr(files, "_RENAME_SECONDS", -1)
    with pytest.raises(PermissionError):
        replace_file(path, new)


def test_after_an_error_a_folder_is_removed_too(tmp_path: Path) -> None:
    def write() -> None:
        with replacing(tmp_path / "package") as partial:
            partial.mkdir()
            (partial / "weights").write_text("some")
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        write()
    assert not list(tmp_path.iterdir())
