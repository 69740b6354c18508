"""The lines of a ledger: writes and reads them, and says which line is damaged and why."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bigunet.errors import OutputError, ResumeError

Record = dict[str, Any]
Judge = Callable[[str, int, Record], str]
"""Says what is wrong with the record of a stage's block; empty if nothing is."""

_CHECKSUM = re.compile(rb',"crc":"([0-9a-f]{8})"\}\n\Z')


def encode(record: Mapping[str, Any]) -> bytes:
    """The line of a record, which ends with a checksum of the text before it."""
    text = json.dumps(record, separators=(",", ":")).encode()[:-1]
    return text + b',"crc":"%08x"}\n' % zlib.crc32(text)


def read_records(path: Path) -> Iterator[tuple[int, Record]]:
    """Number, from 1, and content of each whole line of a ledger.

    Raises
    ------
    ResumeError
        If a line is damaged.
    OutputError
        If the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            checked = True
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    return  # Another process is writing this line.
                if number == 1:
                    # Every line of a ledger has a checksum, or none has.
                    checked = _CHECKSUM.search(line) is not None
                yield number, _decoded(path, number, line, checked=checked)
    except OSError as error:
        raise OutputError(f"cannot read {path}: {error.strerror}") from error


def damaged(path: Path, number: int, why: str) -> ResumeError:
    """The error to raise for a damaged line."""
    way = "begin anew with --overwrite"
    if path.name.startswith("part-"):
        way = f"remove this file, and its blocks are computed again; or {way}"
    return ResumeError(f"{path}, line {number}, is damaged ({why}): {way}")


@dataclass
class Replay:
    """The state of a run that the lines of its ledgers give.

    Parameters
    ----------
    judge : callable
        Its first objection is kept as :attr:`objection`. It is raised later, when it is known that
        the ledger belongs to the present run.
    fingerprint : dict, optional
        Of the run; None before a line was read.
    done : dict of str to set of int
        Numbers of the blocks done, by stage.
    losses : int
        Number of the last loss of files.
    objection : ResumeError, optional
    """

    judge: Judge = lambda *_: ""
    fingerprint: Record | None = None
    done: dict[str, set[int]] = field(default_factory=dict)
    losses: int = 0
    objection: ResumeError | None = None
    _lost: dict[str, dict[int, int]] = field(default_factory=dict)
    _after: dict[str, dict[int, int]] = field(default_factory=dict)

    def read(self, paths: Iterable[Path]) -> None:
        """Take all lines into account. The fingerprint of the last file counts."""
        for path in paths:
            for number, record in read_records(path):
                self._take(path, number, record)
        for stage, lost in self._lost.items():
            after = self._after.get(stage, {})
            gone = {block for block, loss in lost.items() if after.get(block, 0) < loss}
            self.done.setdefault(stage, set()).difference_update(gone)

    def counts(self, record: Record) -> bool:
        """Whether a block's record still holds, because no file of the block was lost later."""
        loss = self._lost.get(record["stage"], {}).get(record["block"], 0)
        return bool(record.get("after", 0) >= loss)

    def lose(self, stage: str, blocks: Iterable[int]) -> None:
        """Take into account that the last loss took files of these blocks."""
        lost = self._lost.setdefault(stage, {})
        for block in blocks:
            lost[block] = self.losses

    def _take(self, path: Path, number: int, record: Record) -> None:
        if "fingerprint" in record:
            self.fingerprint = record["fingerprint"]
            return
        stage = record["stage"]
        if "lost" in record:
            # Losses have rising numbers, and only the run's own ledger records them.
            self.losses = max(self.losses, record["loss"])
            lost = self._lost.setdefault(stage, {})
            lost.update((b, max(lost.get(b, 0), record["loss"])) for b in record["lost"])
            return
        block = record["block"]
        if self.objection is None and (why := self.judge(stage, block, record)):
            self.objection = damaged(path, number, why)
        self.done.setdefault(stage, set()).add(block)
        if "after" in record:
            after = self._after.setdefault(stage, {})
            after[block] = max(after.get(block, 0), record["after"])


def is_count(value: object) -> bool:
    """Whether a value from JSON is a whole number from 0 up, and not a boolean."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _decoded(path: Path, number: int, line: bytes, *, checked: bool) -> Record:
    # JSON that is nested more deeply than Python's stack raises RecursionError.
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        raise damaged(path, number, f"no JSON: {_shown(line)}") from None
    match = _CHECKSUM.search(line)
    if checked or match or (isinstance(record, dict) and "crc" in record):
        text = line[: match.start()] if match else b""
        if not match or int(match[1], 16) != zlib.crc32(text):
            raise damaged(path, number, f"its checksum is wrong: {_shown(line)}")
        del record["crc"]
    if not isinstance(record, dict) or not _is_record(record, first=number == 1):
        raise damaged(path, number, f"no record: {_shown(line)}")
    return record


def _is_record(record: Record, *, first: bool) -> bool:
    if first or "fingerprint" in record:
        return first and isinstance(record.get("fingerprint"), dict)
    if not isinstance(record.get("stage"), str):
        return False
    if "lost" in record:
        lost = record["lost"]
        return is_count(record.get("loss")) and isinstance(lost, list) and all(map(is_count, lost))
    return is_count(record.get("block")) and is_count(record.get("after", 0))


def _shown(line: bytes) -> str:
    return repr(line[:12])[1:]
