"""What is run: a named stage of numbered blocks, and the work that a worker does for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from bigunet.geometry import Box, ceil_div
from bigunet.urls import without_secrets

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


@runtime_checkable
class Abandonable(Protocol):
    """Work that can end in the midst of a block, which is not recorded then."""

    def abandon(self) -> None:
        """End blocks at work as soon as can be, with an error; called when their run has ended."""
        ...


@dataclass(frozen=True, slots=True)
class Grid:
    """How the blocks of a stage lie, for whoever draws them; they are numbered in C order.

    Parameters
    ----------
    axes : tuple of str
        Names of the axes; the last two are drawn down and across.
    region : Box
        What the blocks cover, in voxels.
    block_shape : tuple of int
        Voxels of a block per axis; the last of each axis may be smaller.
    """

    axes: tuple[str, ...]
    region: Box
    block_shape: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Blocks along each axis."""
        return tuple(ceil_div(n, b) for n, b in zip(self.region.shape, self.block_shape))


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
    grid : Grid, optional
        How the blocks lie, if they do so on a grid.
    """

    name: str
    num_blocks: int
    traversal: Callable[[], Iterator[Index]]
    number: Callable[[Index], int]
    work: Work
    grid: Grid | None = None


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
    """Event: a stage begins, of whose blocks ``num_done`` were done by an earlier run.

    ``panel`` is the address of bigunet's panel on the dashboard, empty where there is none.
    """

    stage: str
    num_done: int
    num_blocks: int
    panel: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """Event: something about the workers that people should know, without passwords and tokens."""

    text: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", without_secrets(self.text))


Event = BlockDone | Notice | StageBegun
