"""What a run consists of: named stages of numbered blocks, and the work for each block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from bigunet.blocks import BlockGrid

Index = tuple[int, ...]
Result = dict[str, Any]


class Work(Protocol):
    """What a worker calls for each block. It travels to every worker once, as a pickle.

    It may load models and open stores when it is first called. Several threads call it at the same
    time. Its result goes into the ledger: small, and ready for JSON. If a block runs twice, it
    must write the same bytes.
    """

    def __call__(self, index: Index) -> Result:
        """Do one block."""
        ...


@runtime_checkable
class Abandonable(Protocol):
    """Work that can be ended within a block. Such a block is not recorded."""

    def abandon(self) -> None:
        """End the blocks at work with an error, soon; called when their run has ended."""
        ...


@dataclass(frozen=True, slots=True)
class Stage:
    """One pass over blocks.

    Parameters
    ----------
    name : str
        Name of its tasks on the dashboard and in the ledger.
    num_blocks : int
    traversal : callable
        Gives every block's index once, lazily, in the order of work.
    number : callable
        Gives a block's number in the ledger for its index.
    work : Work
    grid : BlockGrid, optional
        Where the blocks lie, for the dashboard's map. A part of a run has the grid of the whole.
    axes : tuple of str
        Names of the grid's axes. The map shows the last two: the first down, the other across.
    """

    name: str
    num_blocks: int
    traversal: Callable[[], Iterator[Index]]
    number: Callable[[Index], int]
    work: Work
    grid: BlockGrid | None = None
    axes: tuple[str, ...] = ()
