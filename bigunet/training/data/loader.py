"""Loading: batches of numbered patches, drawn ahead in other processes."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from bigunet.errors import BigUNetError, TrainingError
from bigunet.machine.signals import interrupts_postponed
from bigunet.training.data.patches import Patch, PatchSource


@dataclass(frozen=True, slots=True)
class Batch:
    """Patches of one step, as tensors.

    Parameters
    ----------
    images : Tensor of float32, (n, channel, *space)
    classes : Tensor of int64, (n, *inner)
    weights : Tensor of float32, (n, *inner)
    """

    images: Tensor
    classes: Tensor
    weights: Tensor

    def pin_memory(self) -> Batch:
        """The same in memory that a GPU copies from by itself; torch's loader calls this."""
        return Batch(self.images.pin_memory(), self.classes.pin_memory(), self.weights.pin_memory())

    def to(self, device: torch.device, layout: torch.memory_format) -> Batch:
        """The same on ``device``, images in ``layout``."""
        images = self.images.to(device, non_blocking=True).contiguous(memory_format=layout)
        return Batch(
            images,
            self.classes.to(device, non_blocking=True),
            self.weights.to(device, non_blocking=True),
        )


@dataclass(frozen=True, slots=True)
class Share:
    """Which patches of each step a process draws: ``rank`` of ``processes``, ``batch`` each."""

    batch: int
    rank: int = 0
    processes: int = 1

    def numbers(self, step: int) -> list[int]:
        """Numbers of the patches of one step.

        >>> Share(batch=2, rank=1, processes=2).numbers(10)
        [42, 43]
        """
        first = (step * self.processes + self.rank) * self.batch
        return list(range(first, first + self.batch))


class _Steps(Dataset[Any]):
    """Item ``k`` is the batch of step ``k``, or the error that stopped it."""

    def __init__(self, source: PatchSource, share: Share) -> None:
        self._source = source
        self._share = share

    def __getitem__(self, step: int) -> Batch | BigUNetError:
        try:
            return batch_of([self._source.draw(k) for k in self._share.numbers(step)])
        # torch would wrap it in a traceback of the other process; users want its one line.
        except BigUNetError as error:
            return error


class _StepsFrom:
    """The steps from one on, without end: how many fit is the clock's to say."""

    def __init__(self, first: int) -> None:
        self._first = first

    def __iter__(self) -> Iterator[int]:
        step = self._first
        while True:
            yield step
            step += 1


def batch_of(patches: Sequence[Patch]) -> Batch:
    """Stack patches of one shape."""
    return Batch(
        torch.from_numpy(np.stack([p.image for p in patches])),
        torch.from_numpy(np.stack([p.classes for p in patches]).astype(np.int64)),
        torch.from_numpy(np.stack([p.weights for p in patches])),
    )


def batches(
    source: PatchSource, share: Share, *, first: int, loaders: int, pinned: bool = False
) -> Iterator[Batch]:
    """Batches of the steps from ``first`` on, in order and without end.

    Parameters
    ----------
    source : PatchSource
    share : Share
    first : int
        The step to begin with.
    loaders : int
        Processes that draw ahead; 0 draws in this one, when asked.
    pinned : bool
        Into memory that a GPU copies from by itself.

    Raises
    ------
    BigUNetError
        What drawing a patch raised, in whichever process.
    """
    loader: DataLoader[Any] = DataLoader(
        _Steps(source, share),
        batch_size=None,
        sampler=_StepsFrom(first),
        num_workers=loaders,
        prefetch_factor=4 if loaders else None,
        # A fork would copy the threads' locks of zarr and torch, held or not.
        multiprocessing_context="spawn" if loaders else None,
        pin_memory=pinned,
        collate_fn=_as_is,
        worker_init_fn=_silent_of_a_left_socket,
    )
    with interrupts_postponed():
        incoming = iter(loader)
    try:
        for found in incoming:
            if isinstance(found, BigUNetError):
                raise found
            yield found
    except (ConnectionError, EOFError) as error:
        # Batches come through sockets, which end with the process behind them.
        if not loaders:
            raise
        raise _lost(error) from error


@contextmanager
def loaders_watched() -> Iterator[None]:
    """Say of a process that draws patches that it was lost.

    torch raises it wherever this process is at that moment, and again while it leaves: so around
    all that a run does, not around its steps alone.

    Raises
    ------
    TrainingError
    """
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, BigUNetError) or "DataLoader worker" not in str(error):
            raise
        raise _lost(error) from error


def _lost(error: Exception) -> TrainingError:
    return TrainingError(
        f"a process that draws patches was lost: {error}; if memory ran out, give fewer "
        "--loaders; go on with --resume"
    )


def _as_is(batch: Any) -> Any:
    return batch


def _silent_of_a_left_socket(loader: int) -> None:
    """Let a process that draws patches say nothing where the one it draws for left in mid-fetch.

    A thread of Python's hands out what a batch holds, and prints the traceback of each peer that
    is gone. Errors of drawing come with the batches, not this way.
    """
    told = sys.excepthook

    def hook(
        kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        if not isinstance(error, ConnectionError | EOFError):
            told(kind, error, traceback)

    sys.excepthook = hook
