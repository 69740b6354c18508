"""What the ledgers say of time: which thread of which worker did what, and when."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bigunet.engine.ledger_lines import Record, read_records
from bigunet.report.timeline import STATES
from bigunet.segmentation.run.record_files import ledger_path, part_ledgers
from bigunet.segmentation.run.stages import SEGMENT

READ, WAIT, COMPUTE, WRITE = range(len(STATES))
# In the order of work: the states of the pieces of a block's time.
PIECES = (WAIT, READ, WAIT, COMPUTE, WRITE)


@dataclass(slots=True)
class BlockTimes:
    """The times of blocks of all stages, in the order of the ledgers.

    Parameters
    ----------
    threads : dict of (str, int) to int
        Worker and thread, and the number of their row.
    rows : array of int
        The row of each block.
    begun : array of float
        When each block began, in seconds since 1970.
    pieces : array of float
        Seconds of each of PIECES, block after block.
    segmented : dict of int to float
        Seconds of the blocks that were segmented, without waiting, by their number.
    """

    threads: dict[tuple[str, int], int] = field(default_factory=dict)
    rows: array[int] = field(default_factory=lambda: array("q"))
    begun: array[float] = field(default_factory=lambda: array("d"))
    pieces: array[float] = field(default_factory=lambda: array("d"))
    segmented: dict[int, float] = field(default_factory=dict)

    @classmethod
    def of(cls, records: Iterable[Record]) -> BlockTimes:
        """Collect the times of records; those without times do not count."""
        times = cls()
        for record in records:
            if "begun" in record:
                times.add(record)
        return times

    def add(self, record: Record) -> None:
        """Take one block into account."""
        thread = (record["worker"], record["thread"])
        self.rows.append(self.threads.setdefault(thread, len(self.threads)))
        self.begun.append(record["begun"])
        pieces = pieces_of(record)
        self.pieces.extend(pieces)
        if record["stage"] == SEGMENT:
            worked = (s for s, state in zip(pieces, PIECES) if state != WAIT)
            self.segmented[record["block"]] = sum(worked)

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows (block,), begins (block,) and seconds of the pieces (block, piece)."""
        pieces = np.array(self.pieces).reshape(-1, len(PIECES))
        return np.array(self.rows), np.array(self.begun), pieces


def pieces_of(record: Record) -> tuple[float, ...]:
    """The seconds of a block, cut into PIECES; their sum is that of the block.

    A stage that records less than the network's has what is left as its first wait.
    """
    total = record["seconds"]
    read, write = record.get("read_seconds", 0.0), record.get("write_seconds", 0.0)
    device = record.get("device_wait_seconds", 0.0)
    if record["stage"] == SEGMENT:
        before = record.get("room_wait_seconds", 0.0)
        return before, read, device, max(0.0, total - before - read - device - write), write
    compute = record.get("compute_seconds", 0.0)
    return max(0.0, total - compute - write), 0.0, 0.0, compute, write


def records_of(folder: Path) -> Iterator[Record]:
    """The records of all blocks of an output, from the ledgers of all parts."""
    for path in (*part_ledgers(folder), ledger_path(folder)):
        for _, record in read_records(path):
            if "block" in record:
                yield record
