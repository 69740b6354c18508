"""What is run: a named stage of numbered blocks, and the work that a worker does for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

Index = tuple[int, ...]
Result = dict[str, Any]


class Work(Protocol):
    """What a worker calls for each block; sent to every worker once, as a pickle.

    It may load models and open stores lazily, and is called from several threads at a time. The
    result is small and JSON-ready: it goes into the ledger. Running a block twice must write the
    same bytes.
    """

    def __call__(self, index: Index) -> Result:
        """Do one block."""
        ...


@dataclass(frozen=True, slots=True)
class Stage:
    """One pass over a grid of blocks.

    Parameters
    ----------
    name : str
        How its tasks are called on the dashboard and in the ledger.
    num_blocks : int
    traversal : callable
        Gives every block's index once, lazily, in the order of work.
    number : callable
        The block's number in the ledger, for its index.
    work : Work
    """

    name: str
    num_blocks: int
    traversal: Callable[[], Iterator[Index]]
    number: Callable[[Index], int]
    work: Work


@dataclass(frozen=True, slots=True)
class BlockDone:
    """Event: a block was finished and recorded."""

    stage: str
    index: Index
    result: Result
    num_done: int
    num_blocks: int


@dataclass(frozen=True, slots=True)
class StageBegun:
    """Event: a stage begins, of whose blocks ``num_done`` were done by an earlier run."""

    stage: str
    num_done: int
    num_blocks: int


@dataclass(frozen=True, slots=True)
class Notice:
    """Event: something about the workers that people should know."""

    text: str


Event = BlockDone | Notice | StageBegun
