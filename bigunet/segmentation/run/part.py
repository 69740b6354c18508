"""A part of a run: the blocks that one of several independent processes takes."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from bigunet.blocks import BlockGrid
from bigunet.engine.stage import Index
from bigunet.errors import OptionError

# Neighbours share chunks of the image, so runs of them stay together; shorter ones share the work
# more evenly, where some of the image is empty.
_RUNS_PER_PART = 8
_LONGEST_RUN = 64


@dataclass(frozen=True, slots=True)
class Part:
    """Every ``count``-th run of blocks along the order of work, from the ``number``-th on.

    Parameters
    ----------
    number : int
        1 to ``count``.
    count : int

    Raises
    ------
    OptionError
        If there is no such part.
    """

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise OptionError(f"part {self}: give 1/{self.count} to {self.count}/{self.count}")

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @classmethod
    def parse(cls, text: str) -> Part:
        """The part that ``I/N`` names.

        >>> Part.parse("2/8")
        Part(number=2, count=8)
        """
        found = re.fullmatch(r"\s*(\d+)\s*/\s*(\d+)\s*", text)
        if not found:
            raise OptionError(f"part {text!r} is not I/N, like 2/8")
        return cls(int(found[1]), int(found[2]))

    @property
    def ledger_name(self) -> str:
        """Of the file that tells which of its blocks are done."""
        return f"part-{self.number}-of-{self.count}.jsonl"

    def traversal(self, grid: BlockGrid) -> Iterator[Index]:
        """Indices of its blocks, in the order of work; all parts together have each once."""
        length = max(1, min(_LONGEST_RUN, grid.num_blocks // (_RUNS_PER_PART * self.count)))
        blocks = grid.traversal()
        for number in itertools.count():
            run = list(itertools.islice(blocks, length))
            if not run:
                return
            if number % self.count == self.number - 1:
                yield from run
