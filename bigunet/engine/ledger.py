"""The ledger: an append-only file of finished blocks, keyed by the fingerprint of the run.

One line of JSON each. It belongs to one process alone, which holds a lock on it; parts of a run
have ledgers of their own. A line that was cut off by a crash is dropped, so its block runs again
and writes the same bytes.
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
# Letters of how one value of the fingerprint differs.
_MAX_CHANGE = 200
# How often it is seen that the file is still where it was opened.
_LOOK_SECONDS = 1.0


class Ledger:
    """An open ledger; use it as a context manager, so that its lock is given back.

    Whoever opens it next calls :meth:`begin` on an empty one, :meth:`check` and, with a judge,
    :meth:`check_records` on any other.

    Parameters
    ----------
    path : Path
        Made if it is not there; its folder must be.
    anew : bool
        Forget the run that it tells of, and all blocks that this finished.
    beside : callable, optional
        Gives the ledgers of other parts of the run, once this one is locked: what they have done
        is done. They may grow meanwhile.
    judge : callable, optional
        Says what is wrong with the record of a block; :meth:`check_records` raises it.

    Raises
    ------
    OutputError
        If it cannot be opened; BusyError, if another process has it open.
    ResumeError
        If it is damaged, and not begun anew.
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
        """Whether no run has begun."""
        return self._replay.fingerprint is None

    @property
    def fingerprint(self) -> dict[str, Any]:
        """Of the run that was begun; empty if none was."""
        return dict(self._replay.fingerprint or {})

    def begin(self, fingerprint: Fingerprint) -> None:
        """Record which run this is, before its first block."""
        # Of an earlier run, whose voxels are gone.
        self._replay = Replay(self._replay.judge)
        self._beside = ()
        self._write({"fingerprint": dict(fingerprint)})
        self._replay.fingerprint = _as_json(fingerprint)

    def check(self, fingerprint: Fingerprint) -> None:
        """Raise ResumeError if the run that was begun is another one, with what differs."""
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
            # Of an option and the number that it chose, one is said.
            differing = [k for k in differing if k.partition("option ")[2] not in differing]
            changes = "; ".join(_change(k, before.get(k), now.get(k)) for k in differing)
            raise ResumeError(
                f"cannot resume {self._path.parent.parent}: {changes}. Give the same options, "
                "or --overwrite to begin anew"
            )

    @classmethod
    def found(cls, path: Path, fingerprint: Fingerprint) -> bool:
        """Begin a ledger that several processes may begin at a time; whether this one did.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        try:
            return create_once(path, encode({"fingerprint": dict(fingerprint)}))
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror}") from error

    @classmethod
    def peek(cls, path: Path, beside: Sequence[Path] = ()) -> tuple[dict[str, Any], dict[str, int]]:
        """Fingerprint, and how many blocks of each stage are done; of a run that may go on."""
        replay = Replay()
        replay.read((*beside, path))
        done = {stage: len(blocks) for stage, blocks in replay.done.items()}
        return dict(replay.fingerprint or {}), done

    @classmethod
    def run_of(cls, path: Path) -> dict[str, Any]:
        """Fingerprint of the run that a ledger tells of; empty if none was begun."""
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
        """Close the file, and give its lock back."""
        # Closing tries again to write what a full disk did not take: that was said already.
        with contextlib.suppress(OSError):
            self._file.close()

    def done(self, stage: str) -> set[int]:
        """Numbers of the stage's finished blocks."""
        return self._replay.done.setdefault(stage, set())

    def append(self, stage: str, number: int, result: Result) -> None:
        """Record a finished block. Only then may it be skipped by a later run.

        Raises
        ------
        OutputError
            If it cannot be written, or the ledger was moved away since it was opened.
        """
        if (now := time.monotonic()) >= self._look_again:
            self.check_place()
            self._look_again = now + _LOOK_SECONDS
        after = {"after": self._replay.losses} if self._replay.losses else {}
        self._write({"stage": stage, "block": number, **result, **after})
        self.done(stage).add(number)

    def forget(self, lost: Mapping[str, Iterable[int]]) -> None:
        """Record that blocks of stages have lost what they wrote: they are done no more.

        Only for the run's own ledger, while nobody writes those of its parts. Results that were
        recorded before do not count any more, whichever ledger they stand in.
        """
        self._replay.losses += 1
        for stage, blocks in lost.items():
            numbers = sorted(blocks)
            self._write({"stage": stage, "lost": numbers, "loss": self._replay.losses})
            self._replay.lose(stage, numbers)
            self.done(stage).difference_update(numbers)

    def results(self, stage: str) -> Iterator[Result]:
        """What the stage's blocks reported, this run's and earlier ones', each block once."""
        seen: set[int] = set()
        for path in (self._path, *self._beside):
            for _, record in read_records(path):
                if record.get("stage") != stage or "lost" in record or record["block"] in seen:
                    continue
                if self._replay.counts(record):
                    seen.add(record["block"])
                    yield record

    def check_place(self) -> None:
        """Raise OutputError if the file is no longer where it was opened: so is its output."""
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
        """Take in what this ledger and those beside it tell; the fingerprint is this one's."""
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
    """How a value differs; of a dict, the inner values that do, cut short where they are long."""
    if isinstance(before, dict) and isinstance(now, dict):
        inner = [k for k in {**before, **now} if before.get(k) != now.get(k)]
        told = ", ".join(_change(f"{name}.{k}", before.get(k), now.get(k)) for k in inner)
        return told if len(told) <= _MAX_CHANGE else f"{told[: _MAX_CHANGE - 3]}..."
    return f"{name} was {before}, is {now}"


def _opened(path: Path) -> IO[bytes]:
    """The file, to append to; neither a folder nor a pipe, which would wait for its other end."""
    try:
        if not path.exists() or stat.S_ISREG(path.stat().st_mode):
            return path.open("a+b")
    except OSError as error:
        raise OutputError(f"cannot open {path}: {error.strerror}") from error
    raise OutputError(f"{path} is no file: remove it, and give another output")


def _as_json(fingerprint: Fingerprint) -> dict[str, Any]:
    """What comes back from the file: tuples as lists."""
    return dict(json.loads(json.dumps(dict(fingerprint))))
