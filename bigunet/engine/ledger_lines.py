"""Lines of a ledger: writes one, reads them back, and says which line is damaged and why."""

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
    """The line of a record, with a checksum of all that stands before it."""
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
                    return  # Another process writes it: its rest would come as a line of its own.
                if number == 1:
                    # Every line of a ledger has a checksum, or none has.
                    checked = _CHECKSUM.search(line) is not None
                yield number, _decoded(path, number, line, checked=checked)
    except OSError as error:
        raise OutputError(f"cannot read {path}: {error.strerror}") from error


def damaged(path: Path, number: int, why: str) -> ResumeError:
    """What to raise for a damaged line."""
    way = "begin anew with --overwrite"
    if path.name.startswith("part-"):
        way = f"remove this file, and its blocks are computed again; or {way}"
    return ResumeError(f"{path}, line {number}, is damaged ({why}): {way}")


@dataclass
class Replay:
    """What the lines of some ledgers of one run say.

    Parameters
    ----------
    judge : callable
        Its first objection is kept as :attr:`objection`, to be raised when it is known that the
        ledger is that of the run at hand.
    """

    judge: Judge = lambda *_: ""
    fingerprint: Record | None = None
    done: dict[str, set[int]] = field(default_factory=dict)
    losses: int = 0
    objection: ResumeError | None = None
    _lost: dict[str, dict[int, int]] = field(default_factory=dict)
    _after: dict[str, dict[int, int]] = field(default_factory=dict)

    def read(self, paths: Iterable[Path]) -> None:
        """Take in all lines; of several fingerprints, the last file's counts."""
        for path in paths:
            for number, record in read_records(path):
                self._take(path, number, record)
        for stage, lost in self._lost.items():
            after = self._after.get(stage, {})
            gone = {block for block, loss in lost.items() if after.get(block, 0) < loss}
            self.done.setdefault(stage, set()).difference_update(gone)

    def counts(self, record: Record) -> bool:
        """Whether what a block's record tells still holds: nothing of it was lost later."""
        loss = self._lost.get(record["stage"], {}).get(record["block"], 0)
        return bool(record.get("after", 0) >= loss)

    def lose(self, stage: str, blocks: Iterable[int]) -> None:
        """Take in that blocks lost what they wrote, by the loss of the highest number."""
        lost = self._lost.setdefault(stage, {})
        for block in blocks:
            lost[block] = self.losses

    def _take(self, path: Path, number: int, record: Record) -> None:
        if "fingerprint" in record:
            self.fingerprint = record["fingerprint"]
            return
        stage = record["stage"]
        if "lost" in record:
            # Losses are numbered upwards, and only the run's own ledger has them.
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
    """Whether a value out of JSON is a whole number that is not negative, and no boolean."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _decoded(path: Path, number: int, line: bytes, *, checked: bool) -> Record:
    # Deeper nesting than Python's stack is a RecursionError.
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        raise damaged(path, number, f"no JSON: {_shown(line)}") from None
    found = _CHECKSUM.search(line)
    if checked or found or (isinstance(record, dict) and "crc" in record):
        text = line[: found.start()] if found else b""
        if not found or int(found[1], 16) != zlib.crc32(text):
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
