"""How far a preview is, as a line: blocks done, and the time of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_WORK = ("read_seconds", "compute_seconds", "write_seconds")


class Pace:
    """Counts blocks.

    Attributes
    ----------
    trouble : str
        Why the last block failed; empty if none did.

    Examples
    --------
    >>> pace = Pace(1, 340)
    >>> pace.line
    '1 of 340 blocks'
    >>> pace.add({"read_seconds": 0.1, "compute_seconds": 0.3, "write_seconds": 0.02})
    >>> pace.line
    '2 of 340 blocks, 0.42 s each'
    """

    def __init__(self, num_done: int, num_blocks: int) -> None:
        self._num_done, self._num_blocks = num_done, num_blocks
        self._num_timed, self._seconds = 0, 0.0
        self.trouble = ""

    def add(self, result: Mapping[str, Any]) -> None:
        """Count a block that was computed; its result says what its work took."""
        self._num_done += 1
        self._num_timed += 1
        self._seconds += sum(result.get(name, 0.0) for name in _WORK)

    @property
    def line(self) -> str:
        """The blocks that are done, and the mean time of those that were computed here."""
        each = ""
        if self._num_timed:
            each = f", {self._seconds / self._num_timed:.2g} s each"
        noun = "block" if self._num_blocks == 1 else "blocks"
        trouble = f"; {self.trouble}" if self.trouble else ""
        return f"{self._num_done} of {self._num_blocks} {noun}{each}{trouble}"
