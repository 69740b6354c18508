"""The ledger: an append-only file of finished blocks, keyed by the fingerprint of the run.

One line of JSON each. It belongs to one process alone, which holds a lock on it; parts of a run
have ledgers of their own. A line that was cut off by a crash is dropped, so its block runs again
and writes the same bytes.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bigunet.engine.lock import lock
from bigunet.engine.stage import Result
from bigunet.errors import OutputError, ResumeError

Fingerprint = Mapping[str, Any]
_PIECE_BYTES = 65536


class Ledger:
    """An open ledger; use it as a context manager, so that its lock is given back.

    Whoever opens it next calls :meth:`begin` on an empty one, :meth:`check` on any other.

    Parameters
    ----------
    path : Path
        Made if it is not there; its folder must be.
    anew : bool
        Forget the run that it tells of, and all blocks that this finished.
    beside : callable, optional
        Gives the ledgers of other parts of the run, once this one is locked: what they have done
        is done. They may grow meanwhile.

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
    ) -> None:
        self._path = path
        self._beside: tuple[Path, ...] = ()
        self._done: dict[str, set[int]] = {}
        self._fingerprint: dict[str, Any] | None = None
        try:
            self._file = path.open("a+b")
        except OSError as error:
            raise OutputError(f"cannot open {path}: {error.strerror}") from error
        try:
            lock(self._file, path.parent.parent)
            if anew:
                self._file.truncate(0)
            else:
                self._beside = tuple(beside())
                self._replay()
        except BaseException:
            self.close()
            raise

    @property
    def is_empty(self) -> bool:
        """Whether no run has begun."""
        return self._fingerprint is None

    def begin(self, fingerprint: Fingerprint) -> None:
        """Record which run this is, before its first block."""
        # Of an earlier run, whose voxels are gone.
        self._done.clear()
        self._beside = ()
        self._write({"fingerprint": dict(fingerprint)})
        self._fingerprint = _as_json(fingerprint)

    def check(self, fingerprint: Fingerprint) -> None:
        """Raise ResumeError if the run that was begun is another one, with what differs."""
        before = self._fingerprint or {}
        now = _as_json(fingerprint)
        for path in self._beside:
            self._check_same(self.peek(path)[0] or now, now)
        self._check_same(before, now)

    def _check_same(self, before: Fingerprint, now: Fingerprint) -> None:
        differing = [key for key in {**before, **now} if before.get(key) != now.get(key)]
        if differing:
            changes = "; ".join(f"{k} was {before.get(k)}, is {now.get(k)}" for k in differing)
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
        partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial")
        try:
            try:
                partial.write_bytes(_line({"fingerprint": dict(fingerprint)}))
                os.link(partial, path)
            finally:
                partial.unlink(missing_ok=True)
        except FileExistsError:
            return False
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror}") from error
        return True

    @classmethod
    def peek(cls, path: Path, beside: Sequence[Path] = ()) -> tuple[dict[str, Any], dict[str, int]]:
        """Fingerprint, and how many blocks of each stage are done; of a run that may go on."""
        fingerprint: dict[str, Any] = {}
        done: dict[str, set[int]] = {}
        for one in (*beside, path):
            for record in _records(one):
                fingerprint = record.get("fingerprint", fingerprint)
                if "stage" in record:
                    done.setdefault(record["stage"], set()).add(record["block"])
        return fingerprint, {stage: len(blocks) for stage, blocks in done.items()}

    @classmethod
    def is_of(cls, path: Path, fingerprint: Fingerprint) -> bool:
        """Whether a ledger was begun with this fingerprint."""
        return cls.peek(path)[0] == _as_json(fingerprint)

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
        return self._done.setdefault(stage, set())

    def append(self, stage: str, number: int, result: Result) -> None:
        """Record a finished block. Only then may it be skipped by a later run."""
        self._write({"stage": stage, "block": number, **result})
        self.done(stage).add(number)

    def results(self, stage: str) -> Iterator[Result]:
        """What the stage's blocks reported, this run's and earlier ones', each block once."""
        seen: set[int] = set()
        records = itertools.chain.from_iterable(map(_records, (self._path, *self._beside)))
        for record in records:
            if record.get("stage") == stage and record["block"] not in seen:
                seen.add(record["block"])
                yield record

    def _write(self, record: Mapping[str, Any]) -> None:
        try:
            self._file.write(_line(record))
            self._file.flush()
        except OSError as error:
            raise OutputError(
                f"cannot write {self._path}: {error.strerror}; make room and run with --resume"
            ) from error

    def _replay(self) -> None:
        self._drop_torn_line()
        for record in _records(self._path):
            if "fingerprint" in record:
                self._fingerprint = record["fingerprint"]
            else:
                self.done(record["stage"]).add(record["block"])
        for record in itertools.chain.from_iterable(map(_records, self._beside)):
            if "stage" in record:
                self.done(record["stage"]).add(record["block"])

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


def _line(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"


def _as_json(fingerprint: Fingerprint) -> dict[str, Any]:
    """What comes back from the file: tuples as lists."""
    return dict(json.loads(json.dumps(dict(fingerprint))))


def _records(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                return  # Another process is writing it: its rest would come as a line of its own.
            yield _record(path, line)


def _record(path: Path, line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError:
        record = None
    if isinstance(record, dict) and ("fingerprint" in record or {"stage", "block"} <= {*record}):
        return record
    raise ResumeError(
        f"{path} is damaged at {line[:40]!r}: what is finished cannot be told; begin anew with "
        "--overwrite"
    )
