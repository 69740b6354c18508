"""The ledger: an append-only file of finished blocks, keyed by the fingerprint of the run.

Each block has one line of JSON. Only one process writes a ledger, and holds a lock on it; each part
of a run has its own ledger. A line that a crash cut off is dropped: its block runs again, and
writes the same bytes.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from bigunet.engine.ledger_lines import Judge, Replay, encode, read_records
from bigunet.engine.stage import Result
from bigunet.errors import OutputError, ResumeError
from bigunet.machine.files import create_once
from bigunet.machine.locks import lock

Fingerprint = Mapping[str, Any]
_PIECE_BYTES = 65536
# The largest number of letters that show how one value of the fingerprint differs.
_MAX_CHANGE = 200
# The time between two looks whether the file is still where it was opened.
_LOOK_SECONDS = 1.0


class Ledger:
    """An open ledger; use it as a context manager, which releases the lock.

    After opening, call :meth:`begin` if the ledger is empty. Otherwise call :meth:`check`, and with
    a judge :meth:`check_records`.

    Parameters
    ----------
    path : Path
        The file, which is made if it is missing. Its folder must exist.
    anew : bool
        Whether to forget the recorded run and all of its blocks.
    beside : callable, optional
        Gives the ledgers of other parts of the run, when this one is locked. Their blocks count as
        done. These ledgers may grow meanwhile.
    judge : callable, optional
        Says what is wrong with the record of a block; :meth:`check_records` raises it.

    Raises
    ------
    OutputError
        If the ledger cannot be opened.
    BusyError
        If another process has opened it.
    ResumeError
        If it is damaged and not begun anew.
    """

    def __init__(
        self,
        path: Path,
        *,
        anew: bool = False,
        beside: Callable[[], Sequence[Path]] = tuple,
        judge: Judge = lambda *_: "",
    ) -> None:
        self._path = path
        self._beside: tuple[Path, ...] = ()
        self._replay = Replay(judge)
        self._look_again = 0.0
        self._file = _opened(path)
        try:
            lock(self._file, path.parent.parent)
            if anew:
                self._file.truncate(0)
            else:
                self._beside = tuple(beside())
                self._drop_torn_line()
                self._read()
        except BaseException:
            self.close()
            raise

    @property
    def is_empty(self) -> bool:
        """Whether no run was begun."""
        return self._replay.fingerprint is None

    @property
    def fingerprint(self) -> dict[str, Any]:
        """Fingerprint of the run that was begun; empty if none was."""
        return dict(self._replay.fingerprint or {})

    def begin(self, fingerprint: Fingerprint) -> None:
        """Record which run this is, before its first block."""
        # An earlier run's blocks do not count any more: their voxels are gone.
        self._replay = Replay(self._replay.judge)
        self._beside = ()
        self._write({"fingerprint": dict(fingerprint)})
        self._replay.fingerprint = _as_json(fingerprint)

    def check(self, fingerprint: Fingerprint) -> None:
        """Raise ResumeError if the run that was begun has another fingerprint; it says which."""
        now = _as_json(fingerprint)
        for path in self._beside:
            self._check_same(self.run_of(path) or now, now)
        self._check_same(self.fingerprint, now)

    def check_records(self) -> None:
        """Raise ResumeError if the judge objects to the record of a block."""
        if self._replay.objection is not None:
            raise self._replay.objection

    def _check_same(self, before: Fingerprint, now: Fingerprint) -> None:
        differing = [key for key in {**before, **now} if before.get(key) != now.get(key)]
        if differing:
            # An option and the value that it chose would be the same news twice.
            differing = [k for k in differing if k.partition("option ")[2] not in differing]
            changes = "; ".join(_change(k, before.get(k), now.get(k)) for k in differing)
            raise ResumeError(
                f"cannot resume {self._path.parent.parent}: {changes}. Give the same options, "
                "or --overwrite to begin anew"
            )

    @classmethod
    def begin_once(cls, path: Path, fingerprint: Fingerprint) -> bool:
        """Begin a ledger that several processes may begin at the same time.

        Returns
        -------
        bool
            Whether this process began it.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        try:
            return create_once(path, encode({"fingerprint": dict(fingerprint)}))
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror}") from error

    @classmethod
    def peek(cls, path: Path, beside: Sequence[Path] = ()) -> tuple[dict[str, Any], dict[str, int]]:
        """Fingerprint, and the number of blocks done by stage, of a run that may still go on."""
        replay = Replay()
        replay.read((*beside, path))
        done = {stage: len(blocks) for stage, blocks in replay.done.items()}
        return dict(replay.fingerprint or {}), done

    @classmethod
    def run_of(cls, path: Path) -> dict[str, Any]:
        """Fingerprint of the run that a ledger records; empty if none was begun."""
        for _, record in read_records(path):
            return dict(record["fingerprint"])
        return {}

    @classmethod
    def is_of(cls, path: Path, fingerprint: Fingerprint) -> bool:
        """Whether a ledger was begun with this fingerprint."""
        return cls.run_of(path) == _as_json(fingerprint)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, which releases the lock."""
        # Closing tries once more to write what a full disk refused: that error was raised already.
        with contextlib.suppress(OSError):
            self._file.close()

    def done(self, stage: str) -> set[int]:
        """Numbers of the stage's finished blocks."""
        return self._replay.done.setdefault(stage, set())

    def append(self, stage: str, number: int, result: Result) -> None:
        """Record a finished block. A later run skips only recorded blocks.

        Raises
        ------
        OutputError
            If the record cannot be written, or the ledger was moved since it was opened.
        """
        if (now := time.monotonic()) >= self._look_again:
            self.check_place()
            self._look_again = now + _LOOK_SECONDS
        after = {"after": self._replay.losses} if self._replay.losses else {}
        self._write({"stage": stage, "block": number, **result, **after})
        self.done(stage).add(number)

    def forget(self, lost: Mapping[str, Iterable[int]]) -> None:
        """Record that files of blocks are lost, so that these blocks are not done any more.

        Call this only on the run's own ledger, while no process writes the ledgers of parts. The
        former results of these blocks do not count any more, in whichever ledger they are.

        Parameters
        ----------
        lost : mapping of str to iterable of int
            Numbers of blocks, by stage.
        """
        self._replay.losses += 1
        for stage, blocks in lost.items():
            numbers = sorted(blocks)
            self._write({"stage": stage, "lost": numbers, "loss": self._replay.losses})
            self._replay.lose(stage, numbers)
            self.done(stage).difference_update(numbers)

    def results(self, stage: str) -> Iterator[Result]:
        """Results of the stage's blocks, from this run and earlier ones, each block once."""
        seen: set[int] = set()
        for path in (self._path, *self._beside):
            for _, record in read_records(path):
                if record.get("stage") != stage or "lost" in record or record["block"] in seen:
                    continue
                if self._replay.counts(record):
                    seen.add(record["block"])
                    yield record

    def check_place(self) -> None:
        """Raise OutputError if the file, and thus the output, is not where it was opened."""
        try:
            there, here = self._path.stat(), os.fstat(self._file.fileno())
            if (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino):
                return
        except OSError:
            pass
        raise OutputError(
            f"{self._path.parent.parent} was moved or removed while it was written: move it back "
            "and run with --resume, or remove what is left there and begin anew"
        )

    def _write(self, record: Mapping[str, Any]) -> None:
        try:
            self._file.write(encode(record))
            self._file.flush()
        except OSError as error:
            raise OutputError(
                f"cannot write {self._path}: {error.strerror}; make room and run with --resume"
            ) from error

    def _read(self) -> None:
        """Read this ledger and those beside it; the fingerprint is that of this one."""
        self._replay.read(self._beside)
        self._replay.fingerprint = None
        self._replay.read((self._path,))

    def _drop_torn_line(self) -> None:
        end = self._file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - _PIECE_BYTES)
            self._file.seek(start)
            newline = self._file.read(end - start).rfind(b"\n")
            if newline >= 0:
                self._file.truncate(start + newline + 1)
                return
            end = start
        self._file.truncate(0)


def _change(name: str, before: object, now: object) -> str:
    """Say how a value differs. A dict shows only the inner values that differ, shortened."""
    if isinstance(before, dict) and isinstance(now, dict):
        inner = [k for k in {**before, **now} if before.get(k) != now.get(k)]
        text = ", ".join(_change(f"{name}.{k}", before.get(k), now.get(k)) for k in inner)
        return text if len(text) <= _MAX_CHANGE else f"{text[: _MAX_CHANGE - 3]}..."
    return f"{name} was {before}, is {now}"


def _opened(path: Path) -> IO[bytes]:
    """Open a file for appending. A folder is refused, and a pipe, which would wait for a reader."""
    try:
        if not path.exists() or stat.S_ISREG(path.stat().st_mode):
            return path.open("a+b")
    except OSError as error:
        raise OutputError(f"cannot open {path}: {error.strerror}") from error
    raise OutputError(f"{path} is no file: remove it, and give another output")


def _as_json(fingerprint: Fingerprint) -> dict[str, Any]:
    """The fingerprint as it is read from the file: with lists for tuples."""
    return dict(json.loads(json.dumps(dict(fingerprint))))
