"""How a tile reaches the device and its results come back: beside others, on a GPU."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

# A tile's values on the device in, what is wanted of it out.
Compute = Callable[[Tensor], Sequence[Tensor]]


@dataclass(slots=True)
class UnderWay:
    """What was asked of a device for one tile.

    Parameters
    ----------
    found : sequence of Tensor
        In the host's memory; only after :meth:`wait`.
    landed : Event, optional
        Reached when they are there; None if they are.
    span : (Event, Event), optional
        Before and after the device computed.
    seconds : float
        In which the device computed; only after :meth:`wait`.
    held : tuple of Tensor
        Memory that the device may use until then.
    """

    found: Sequence[Tensor]
    landed: Event | None = None
    span: tuple[Event, Event] | None = None
    seconds: float = 0.0
    held: tuple[Tensor, ...] = field(default=(), repr=False)

    def wait(self) -> Sequence[np.ndarray]:
        """The results, once they are there."""
        if self.landed is not None:
            self.landed.synchronize()
            self.landed, self.held = None, ()
        if self.span is not None:
            begun, ended = self.span
            self.seconds, self.span = begun.elapsed_time(ended) / 1000, None
        return [values.numpy() for values in self.found]


class Link(Protocol):
    """The way to a device and back."""

    @property
    def depth(self) -> int:
        """Tiles to have under way, so that the device need not wait for the host."""
        ...

    def run(self, values: Tensor, compute: Compute) -> UnderWay:
        """Have the device compute what becomes of values in the host's memory."""
        ...

    def free_memory(self) -> None:
        """Give back what the device holds in reserve."""
        ...


class DirectLink:
    """To the CPU: nothing is moved, and all is done when asked."""

    depth = 1

    def run(self, values: Tensor, compute: Compute) -> UnderWay:
        """See :class:`Link`."""
        begun = time.perf_counter()
        found = compute(values)
        return UnderWay(found, seconds=time.perf_counter() - begun)

    def free_memory(self) -> None:
        """See :class:`Link`."""


class StreamLink:
    """To a GPU: one tile arrives while another is computed and the results of a third leave.

    Copies go through pinned memory, so that they wait for nobody, in streams of their own. One
    stream computes, so that one forward pass at a time takes memory.

    Parameters
    ----------
    gpu : GpuStreams
    """

    depth = 3

    def __init__(self, gpu: GpuStreams) -> None:
        self._gpu = gpu
        gpu.settle()
        self._arrivals, self._passes, self._departures = (gpu.stream() for _ in range(3))

    def run(self, values: Tensor, compute: Compute) -> UnderWay:
        """See :class:`Link`; comes back before the device is done."""
        gpu = self._gpu
        sent = gpu.pinned(values.shape, values.dtype).copy_(values)
        arrived, begun, ended, landed = (gpu.event() for _ in range(4))
        with gpu.on(self._arrivals):
            there = gpu.room(values.shape, values.dtype).copy_(sent, non_blocking=True)
            arrived.record(self._arrivals)
        with gpu.on(self._passes):
            self._passes.wait_event(arrived)
            begun.record(self._passes)
            found = compute(there)
            ended.record(self._passes)
        with gpu.on(self._departures):
            self._departures.wait_event(ended)
            back = [gpu.pinned(one.shape, one.dtype).copy_(one, non_blocking=True) for one in found]
            landed.record(self._departures)
        return UnderWay(back, landed, (begun, ended), held=(sent, there, *found))

    def free_memory(self) -> None:
        """See :class:`Link`."""
        self._gpu.free_memory()


class Stream(Protocol):
    """A queue of work on a GPU, as ``torch.cuda.Stream``."""

    def wait_event(self, event: Any) -> None:
        """Let what comes after wait for an event."""
        ...


class Event(Protocol):
    """A point in a stream, as ``torch.cuda.Event``."""

    def record(self, stream: Any) -> None:
        """Be reached when the stream has done all that it was given."""
        ...

    def synchronize(self) -> None:
        """Wait until it is reached."""
        ...

    def elapsed_time(self, end_event: Any) -> float:
        """Milliseconds from this event to a later one."""
        ...


class GpuStreams(Protocol):
    """A GPU that works through streams: what :class:`StreamLink` needs of it."""

    def stream(self) -> Stream:
        """A new stream."""
        ...

    def event(self) -> Event:
        """A new event, of which the time can be told."""
        ...

    def on(self, stream: Any) -> AbstractContextManager[Any]:
        """Give what this thread asks meanwhile to a stream."""
        ...

    def pinned(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Memory of the host that the GPU reads and writes by itself."""
        ...

    def room(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Memory of the GPU."""
        ...

    def settle(self) -> None:
        """Wait until all that was asked of it is done."""
        ...

    def free_memory(self) -> None:
        """Give memory that is held in reserve back to the GPU."""
        ...


class CudaGpu:
    """A GPU through ``torch.cuda``.

    Parameters
    ----------
    device : torch.device
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def stream(self) -> torch.cuda.Stream:
        """See :class:`GpuStreams`."""
        return torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]

    def event(self) -> torch.cuda.Event:
        """See :class:`GpuStreams`."""
        return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]

    def on(self, stream: torch.cuda.Stream) -> AbstractContextManager[Any]:
        """See :class:`GpuStreams`."""
        return torch.cuda.stream(stream)

    def pinned(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """See :class:`GpuStreams`."""
        return torch.empty(tuple(shape), dtype=dtype, pin_memory=True)

    def room(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """See :class:`GpuStreams`."""
        return torch.empty(tuple(shape), dtype=dtype, device=self._device)

    def settle(self) -> None:
        """See :class:`GpuStreams`."""
        torch.cuda.synchronize(self._device)

    def free_memory(self) -> None:
        """See :class:`GpuStreams`."""
        torch.cuda.empty_cache()


def link_to(device: torch.device) -> Link:
    """The link that fits a device."""
    return StreamLink(CudaGpu(device)) if device.type == "cuda" else DirectLink()
