"""The ledger: an append-only file of finished blocks, keyed by the fingerprint of the run.

One line of JSON each. It belongs to the coordinator alone, which holds a lock on it. A line that
was cut off by a crash is dropped, so its block runs again and writes the same bytes.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bigunet.engine.stage import Result
from bigunet.errors import OutputError, ResumeError

Fingerprint = Mapping[str, Any]


class Ledger:
    """An open ledger; use it as a context manager, so that its lock is given back.

    Make one with :meth:`begin` or :meth:`resume`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._done: dict[str, set[int]] = {}
        try:
            self._file = path.open("a+b")
        except OSError as error:
            raise OutputError(f"cannot open {path}: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise OutputError(
                f"{path.parent.parent} is being written by another bigunet; wait for it or stop it"
            ) from error
        except OSError:
            pass  # Some network file systems have no locks: the user has been careful, or not.

    @classmethod
    def begin(cls, path: Path, fingerprint: Fingerprint) -> Ledger:
        """A new ledger in place of whatever was there."""
        ledger = cls(path)
        try:
            ledger._file.truncate(0)
            ledger._append({"fingerprint": dict(fingerprint)})
        except OSError as error:
            ledger.close()
            raise OutputError(f"cannot write {path}: {error.strerror}") from error
        return ledger

    @classmethod
    def resume(cls, path: Path, fingerprint: Fingerprint) -> Ledger:
        """The ledger of a run that was cut off.

        Raises
        ------
        ResumeError
            If that run was another one, with what differs.
        """
        ledger = cls(path)
        try:
            ledger._replay(fingerprint)
        except BaseException:
            ledger.close()
            raise
        return ledger

    @classmethod
    def check_free(cls, path: Path) -> None:
        """Raise OutputError if another process is writing the ledger at ``path``."""
        if path.is_file():
            cls(path).close()

    @classmethod
    def peek(cls, path: Path) -> tuple[dict[str, Any], dict[str, int]]:
        """Fingerprint, and how many blocks of each stage are done; of a run that may go on."""
        fingerprint: dict[str, Any] = {}
        done: dict[str, set[int]] = {}
        for record in _records(path):
            fingerprint = record.get("fingerprint", fingerprint)
            if "stage" in record:
                done.setdefault(record["stage"], set()).add(record["block"])
        return fingerprint, {stage: len(blocks) for stage, blocks in done.items()}

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, and give its lock back."""
        self._file.close()

    def done(self, stage: str) -> set[int]:
        """Numbers of the stage's finished blocks."""
        return self._done.setdefault(stage, set())

    def append(self, stage: str, number: int, result: Result) -> None:
        """Record a finished block. Only then may it be skipped by a later run."""
        try:
            self._append({"stage": stage, "block": number, **result})
        except OSError as error:
            raise OutputError(
                f"cannot write {self._path}: {error.strerror}; make room and run with --resume"
            ) from error
        self.done(stage).add(number)

    def results(self, stage: str) -> Iterator[Result]:
        """What the stage's blocks reported, this run's and earlier ones', each block once."""
        seen: set[int] = set()
        for record in _records(self._path):
            if record.get("stage") == stage and record["block"] not in seen:
                seen.add(record["block"])
                yield record

    def _append(self, record: Mapping[str, Any]) -> None:
        line = json.dumps(record, separators=(",", ":")).encode() + b"\n"
        self._file.seek(0, os.SEEK_END)
        self._file.write(line)
        self._file.flush()

    def _replay(self, fingerprint: Fingerprint) -> None:
        self._drop_torn_line()
        records = _records(self._path)
        first = next(records, None)
        if first is None:
            self._append({"fingerprint": dict(fingerprint)})
            return
        before = first.get("fingerprint", {})
        # Through JSON, as tuples come back as lists.
        now = json.loads(json.dumps(dict(fingerprint)))
        differing = [key for key in {**before, **now} if before.get(key) != now.get(key)]
        if differing:
            changes = "; ".join(f"{k} was {before.get(k)}, is {now.get(k)}" for k in differing)
            raise ResumeError(
                f"cannot resume {self._path.parent.parent}: {changes}. Give the same options, "
                "or --overwrite to begin anew"
            )
        for record in records:
            self.done(record["stage"]).add(record["block"])

    def _drop_torn_line(self) -> None:
        self._file.seek(0)
        content = self._file.read()
        self._file.truncate(content.rfind(b"\n") + 1)


def _records(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield json.loads(line)
