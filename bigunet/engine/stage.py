"""What a run consists of: named stages of numbered blocks, and the work for each block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from bigunet.blocks import BlockGrid
from bigunet.urls import without_secrets

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


@dataclass(frozen=True, slots=True)
class BlockDone:
    """Event: a block was finished and recorded.

    Parameters
    ----------
    stage : str
    index : tuple of int
    result : dict
        What the work of the block returned.
    num_done, num_blocks : int
        Blocks of the stage.
    run : str
        Name of the run among several that are at work at once; empty for a single run.
    """

    stage: str
    index: Index
    result: Result
    num_done: int
    num_blocks: int
    run: str = ""


@dataclass(frozen=True, slots=True)
class StageBegun:
    """Event: a stage begins.

    Parameters
    ----------
    stage : str
    num_done : int
        Number of its blocks that an earlier run has done.
    num_blocks : int
    panel : str
        Address of bigunet's panel on the dashboard; empty without one.
    run : str
        Name of the run, as in BlockDone.
    """

    stage: str
    num_done: int
    num_blocks: int
    panel: str = ""
    run: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """Event: a line for people, without passwords and tokens.

    Parameters
    ----------
    text : str
    run : str
        Name of the run that it is about, as in BlockDone.
    """

    text: str
    run: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", without_secrets(self.text))


@dataclass(frozen=True, slots=True)
class RunsDone:
    """Event: a run of several has ended, well or not; the first of these events counts none.

    Parameters
    ----------
    num_done, num_runs : int
    run : str
        Name of the run that has ended; empty in the first event.
    """

    num_done: int
    num_runs: int
    run: str = ""


Event = BlockDone | Notice | RunsDone | StageBegun
