"""Loading of batches: their patches are numbered, and other processes draw them ahead."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from bigunet.errors import BigUNetError, TrainingError
from bigunet.machine.signals import child_handler_kept, interrupts_postponed
from bigunet.training.data.patches import Patch, PatchSource


@dataclass(frozen=True, slots=True)
class Batch:
    """The patches of one step, as tensors.

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
        """A copy in pinned memory, which a GPU reads by itself; torch's loader calls this."""
        return Batch(self.images.pin_memory(), self.classes.pin_memory(), self.weights.pin_memory())

    def to(self, device: torch.device, layout: torch.memory_format) -> Batch:
        """A copy on ``device``, with the images in ``layout``."""
        images = self.images.to(device, non_blocking=True).contiguous(memory_format=layout)
        return Batch(
            images,
            self.classes.to(device, non_blocking=True),
            self.weights.to(device, non_blocking=True),
        )


@dataclass(frozen=True, slots=True)
class Share:
    """The patches of each step that one process draws.

    Parameters
    ----------
    batch : int
        Number of patches per step and process.
    rank, processes : int
        Number of this process, from 0, and number of all processes.
    """

    batch: int
    rank: int = 0
    processes: int = 1

    def numbers(self, step: int) -> list[int]:
        """Numbers of this process's patches in one step.

        >>> Share(batch=2, rank=1, processes=2).numbers(10)
        [42, 43]
        """
        first = (step * self.processes + self.rank) * self.batch
        return list(range(first, first + self.batch))


class _StepBatches(Dataset[Any]):
    """Item ``k`` is the batch of step ``k``, or the error that was raised while it was drawn."""

    def __init__(self, source: PatchSource, share: Share) -> None:
        self._source = source
        self._share = share

    def __getitem__(self, step: int) -> Batch | BigUNetError:
        try:
            return batch_of([self._source.draw(k) for k in self._share.numbers(step)])
        # Torch would wrap the error in the other process's traceback; the user needs one line.
        except BigUNetError as error:
            return error


class _StepsFrom:
    """The numbers of the steps from ``first`` on, without end: the trainer decides when to stop."""

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
    """The batches of the steps from ``first`` on, in order and without end.

    Parameters
    ----------
    source : PatchSource
    share : Share
    first : int
        The first step.
    loaders : int
        Number of processes that draw patches ahead. With 0, this process draws each patch when it
        is needed.
    pinned : bool
        Whether batches lie in pinned memory, which a GPU reads by itself.

    Raises
    ------
    BigUNetError
        The error that drawing a patch raised, in whichever process.
    TrainingError
        A process that draws patches ended before its time.
    """
    loader: DataLoader[Any] = DataLoader(
        _StepBatches(source, share),
        batch_size=None,
        sampler=_StepsFrom(first),
        num_workers=loaders,
        prefetch_factor=4 if loaders else None,
        # A fork would copy the locks of zarr's and torch's threads, locked or not.
        multiprocessing_context="spawn" if loaders else None,
        pin_memory=pinned,
        collate_fn=_as_is,
        worker_init_fn=_hide_closed_sockets,
    )
    # Torch's handler raises an error about a lost process wherever this process is at that moment,
    # in a clean-up or a destructor as well. Without it, the next batch that is read raises it.
    with interrupts_postponed(), child_handler_kept():
        incoming = iter(loader)
    try:
        for item in incoming:
            if isinstance(item, BigUNetError):
                raise item
            yield item
    except (ConnectionError, EOFError) as error:
        # Batches come through sockets, which close when the process behind them ends.
        if not loaders:
            raise
        raise _lost(error) from error
    except RuntimeError as error:
        # Torch looks for the process if no batch comes for five seconds.
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


def _hide_closed_sockets(loader: int) -> None:
    """Hide the tracebacks of a process that draws patches for a process that ended meanwhile.

    A thread of Python's multiprocessing sends the tensors of a batch, and prints a traceback if
    the receiver is gone. Errors in drawing a patch come with the batches instead.
    """
    show = sys.excepthook

    def hook(
        kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        if not isinstance(error, ConnectionError | EOFError):
            show(kind, error, traceback)

    sys.excepthook = hook
