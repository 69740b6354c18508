"""A part of a run: the blocks that one of several independent processes segments."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from bigunet.blocks import BlockGrid
from bigunet.engine.stage import Index
from bigunet.errors import OptionError

# A part takes groups of blocks that follow one another, because neighbours share chunks of the
# image. Short groups share the work more evenly if regions of the image are empty.
_GROUPS_PER_PART = 8
_LONGEST_GROUP = 64


@dataclass(frozen=True, slots=True)
class Part:
    """Every ``count``-th group of blocks in the order of work, beginning with group ``number``.

    Parameters
    ----------
    number : int
        Number of the part, 1 to ``count``.
    count : int
        Number of parts.

    Raises
    ------
    OptionError
        If ``number`` is not 1 to ``count``.
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
        """The part with the name ``I/N``.

        >>> Part.parse("2/8")
        Part(number=2, count=8)
        """
        numbers = re.fullmatch(r"\s*(\d+)\s*/\s*(\d+)\s*", text)
        if not numbers:
            raise OptionError(f"part {text!r} is not I/N, like 2/8")
        return cls(int(numbers[1]), int(numbers[2]))

    @property
    def ledger_name(self) -> str:
        """Name of the file that records the finished blocks of this part."""
        return f"part-{self.number}-of-{self.count}.jsonl"

    def traversal(self, grid: BlockGrid) -> Iterator[Index]:
        """Indices of the blocks of this part, in the order of work. Each block is in one part."""
        length = max(1, min(_LONGEST_GROUP, grid.num_blocks // (_GROUPS_PER_PART * self.count)))
        blocks = grid.traversal()
        for number in itertools.count():
            group = list(itertools.islice(blocks, length))
            if not group:
                return
            if number % self.count == self.number - 1:
                yield from group
