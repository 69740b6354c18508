"""The link to a device: sends a tile, has it computed, and brings the results back.

On a GPU, several tiles are under way at the same time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

# A function from a tile's values on the device to the results of the tile.
Compute = Callable[[Tensor], Sequence[Tensor]]


@dataclass(slots=True)
class UnderWay:
    """The results of one tile, which a device may still be computing.

    Parameters
    ----------
    results : sequence of Tensor
        Tensors in the host's memory; valid only after :meth:`wait`.
    landed : Event, optional
        The event that all results have arrived; None if they have.
    span : (Event, Event), optional
        The events before and after the device computed.
    seconds : float
        Time in which the device computed; valid only after :meth:`wait`.
    held : tuple of Tensor
        Memory that the device may use until the results have arrived.
    """

    results: Sequence[Tensor]
    landed: Event | None = None
    span: tuple[Event, Event] | None = None
    seconds: float = 0.0
    held: tuple[Tensor, ...] = field(default=(), repr=False)

    def wait(self) -> Sequence[np.ndarray]:
        """Wait until the results have arrived, and return them."""
        if self.landed is not None:
            self.landed.synchronize()
            self.landed, self.held = None, ()
        if self.span is not None:
            begun, ended = self.span
            self.seconds, self.span = begun.elapsed_time(ended) / 1000, None
        return [values.numpy() for values in self.results]


class Link(Protocol):
    """The way to a device and back."""

    @property
    def depth(self) -> int:
        """Number of tiles to have under way, so that the device need not wait for the host."""
        ...

    def run(self, values: Tensor, compute: Compute) -> UnderWay:
        """Start to compute the results of a tile from its values in the host's memory."""
        ...

    def free_memory(self) -> None:
        """Free the memory that the device holds in reserve."""
        ...


class DirectLink:
    """The link to the CPU: nothing is copied, and ``run`` returns when all is computed."""

    depth = 1

    def run(self, values: Tensor, compute: Compute) -> UnderWay:
        """See :class:`Link`."""
        begun = time.perf_counter()
        results = compute(values)
        return UnderWay(results, seconds=time.perf_counter() - begun)

    def free_memory(self) -> None:
        """See :class:`Link`."""


class CopyLink:
    """The link to a device that is used one tile at a time: an Apple GPU.

    Parameters
    ----------
    device : torch.device
    """

    depth = 1

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def run(self, values: Tensor, compute: Compute) -> UnderWay:
        """See :class:`Link`; returns when the results are back."""
        begun = time.perf_counter()
        # To copy to the host waits until the device has computed.
        results = [one.to("cpu") for one in compute(values.to(self._device))]
        return UnderWay(results, seconds=time.perf_counter() - begun)

    def free_memory(self) -> None:
        """See :class:`Link`."""
        if self._device.type == "mps":
            torch.mps.empty_cache()


class StreamLink:
    """The link to a GPU: one tile arrives, a second is computed, and a third's results leave.

    Copies have their own streams and go through pinned memory, so that they do not wait for
    anything else. A single stream computes, so that only one forward pass at a time needs memory.

    Parameters
    ----------
    gpu : GpuStreams
    """

    depth = 3

    def __init__(self, gpu: GpuStreams) -> None:
        self._gpu = gpu
        gpu.finish_work()
        self._arrivals, self._passes, self._departures = (gpu.stream() for _ in range(3))

    def run(self, values: Tensor, compute: Compute) -> UnderWay:
        """See :class:`Link`; returns before the device has finished."""
        gpu = self._gpu
        sent = gpu.pinned(values.shape, values.dtype).copy_(values)
        arrived, begun, ended, landed = (gpu.event() for _ in range(4))
        with gpu.on(self._arrivals):
            there = gpu.room(values.shape, values.dtype).copy_(sent, non_blocking=True)
            arrived.record(self._arrivals)
        with gpu.on(self._passes):
            self._passes.wait_event(arrived)
            begun.record(self._passes)
            results = compute(there)
            ended.record(self._passes)
        with gpu.on(self._departures):
            self._departures.wait_event(ended)
            back = [
                gpu.pinned(one.shape, one.dtype).copy_(one, non_blocking=True) for one in results
            ]
            landed.record(self._departures)
        return UnderWay(back, landed, (begun, ended), held=(sent, there, *results))

    def free_memory(self) -> None:
        """See :class:`Link`."""
        self._gpu.free_memory()


class Stream(Protocol):
    """A queue of work on a GPU, like ``torch.cuda.Stream``."""

    def wait_event(self, event: Any) -> None:
        """Let all later work of this stream wait for an event."""
        ...


class Event(Protocol):
    """A point in a stream, like ``torch.cuda.Event``."""

    def record(self, stream: Any) -> None:
        """Mark the point after all work that the stream has so far."""
        ...

    def synchronize(self) -> None:
        """Wait until the stream has reached this point."""
        ...

    def elapsed_time(self, end_event: Any) -> float:
        """Milliseconds from this event to a later one."""
        ...


class GpuStreams(Protocol):
    """A GPU that works through streams: the calls that a :class:`StreamLink` makes."""

    def stream(self) -> Stream:
        """A new stream."""
        ...

    def event(self) -> Event:
        """A new event that records its time."""
        ...

    def on(self, stream: Any) -> AbstractContextManager[Any]:
        """A context in which this thread's work goes to a stream."""
        ...

    def pinned(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """New memory of the host that the GPU reads and writes by itself."""
        ...

    def room(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """New memory of the GPU."""
        ...

    def finish_work(self) -> None:
        """Wait until the GPU has done all of its work."""
        ...

    def free_memory(self) -> None:
        """Free the memory that is held in reserve."""
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

    def finish_work(self) -> None:
        """See :class:`GpuStreams`."""
        torch.cuda.synchronize(self._device)

    def free_memory(self) -> None:
        """See :class:`GpuStreams`."""
        torch.cuda.empty_cache()


def link_to(device: torch.device) -> Link:
    """The link that fits a device."""
    if device.type == "cuda":
        return StreamLink(CudaGpu(device))
    return DirectLink() if device.type == "cpu" else CopyLink(device)
