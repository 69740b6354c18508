"""A fake GPU: it computes on the CPU, and reveals errors that a real GPU would hide.

Streams have vector clocks. If an operation uses memory that another stream wrote or read, and no
event orders the two, it is a race. A copy to pinned memory arrives only when the host waits for
it; before that the memory contains ones.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

Clock = dict[int, int]


class Race(AssertionError):
    """Two streams use the same memory, and no event orders them."""


class FakeStream:
    def __init__(self, number: int) -> None:
        self.number = number
        self.clock: Clock = {number: 0}
        self.copies: list[Callable[[], object]] = []

    def wait_event(self, event: FakeEvent) -> None:
        for stream, tick in event.clock.items():
            self.clock[stream] = max(self.clock.get(stream, 0), tick)


class FakeEvent:
    def __init__(self) -> None:
        self.clock: Clock = {}
        self._copies: list[Callable[[], object]] = []

    def record(self, stream: FakeStream) -> None:
        self.clock = dict(stream.clock)
        self._copies, stream.copies = [*self._copies, *stream.copies], []

    def synchronize(self) -> None:
        with torch.inference_mode():
            for copy in self._copies:
                copy()
        self._copies = []

    def elapsed_time(self, end_event: FakeEvent) -> float:
        """One millisecond for each operation between the two events."""
        return float(sum(end_event.clock.values()) - sum(self.clock.values()))


class FakeGpu:
    """Replaces `CudaGpu` in tests.

    Parameters
    ----------
    most_voxels : int, optional
        Largest number of voxels of a tile; a larger tile does not fit the memory.
    """

    def __init__(self, most_voxels: int | None = None) -> None:
        self.most_voxels = most_voxels
        self.num_freed = self.num_refused = 0
        self.largest_tile = 0
        self._streams = 0
        self._pinned: list[Tensor] = []
        self._written: dict[int, tuple[int, int]] = {}
        self._read: dict[int, Clock] = {}
        self._alive: list[Tensor] = []

    def stream(self) -> FakeStream:
        self._streams += 1
        return FakeStream(self._streams)

    def event(self) -> FakeEvent:
        return FakeEvent()

    @contextlib.contextmanager
    def on(self, stream: FakeStream) -> Iterator[None]:
        with _Watch(self, stream):
            yield

    def pinned(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        self._pinned.append(torch.empty(tuple(shape), dtype=dtype))
        return self._pinned[-1]

    def room(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        size = int(torch.Size(shape).numel())
        if self.most_voxels is not None and size > self.most_voxels:
            self.num_refused += 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate a tile.")
        self.largest_tile = max(self.largest_tile, size)
        return torch.empty(tuple(shape), dtype=dtype)

    def finish_work(self) -> None:
        """Nothing to wait for: work outside of streams is done at once."""

    def free_memory(self) -> None:
        self.num_freed += 1

    def is_pinned(self, values: Tensor) -> bool:
        return any(_memory(one) == _memory(values) for one in self._pinned)

    def use(self, stream: FakeStream, reads: list[Tensor], writes: list[Tensor]) -> None:
        """Record one operation on a stream."""
        stream.clock[stream.number] += 1
        now = stream.clock
        for one in (*reads, *writes):
            writer, tick = self._written.get(_memory(one), (stream.number, 0))
            if tick > now.get(writer, 0):
                raise Race(f"stream {stream.number} uses what stream {writer} is still writing")
        for one in writes:
            for reader, tick in self._read.get(_memory(one), {}).items():
                if tick > now.get(reader, 0):
                    raise Race(f"stream {stream.number} writes what {reader} is still reading")
            self._written[_memory(one)] = (stream.number, now[stream.number])
        for one in reads:
            self._read.setdefault(_memory(one), {})[stream.number] = now[stream.number]
        # Memory stays alive, so that its address identifies it.
        self._alive += [*reads, *writes]


class _Watch(TorchDispatchMode):
    """Records the operations that go to a stream of a GPU."""

    def __init__(self, gpu: FakeGpu, stream: FakeStream) -> None:
        super().__init__()
        self._gpu, self._stream = gpu, stream

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func is torch.ops.aten._local_scalar_dense.default:
            raise Race("the host asks for a number, and waits for all streams")
        if func is torch.ops.aten.copy_.default and self._gpu.is_pinned(args[0]):
            self._gpu.use(self._stream, [args[1]], [args[0]])
            args[0].fill_(1)
            self._stream.copies.append(lambda: args[0].copy_(args[1]))
            return args[0]
        output = func(*args, **kwargs)
        given = _tensors([*args, *kwargs.values()])
        changed = [
            value
            for argument, value in zip(func._schema.arguments, args)
            if argument.alias_info is not None and argument.alias_info.is_write
        ]
        known = {_memory(one) for one in given}
        made = [one for one in _tensors([output]) if _memory(one) not in known]
        self._gpu.use(self._stream, given, [*_tensors(changed), *made])
        return output


def _tensors(values: Any) -> list[Tensor]:
    if isinstance(values, Tensor):
        return [values]
    if isinstance(values, (list, tuple)):
        return [one for value in values for one in _tensors(value)]
    return []


def _memory(values: Tensor) -> int:
    return values.untyped_storage().data_ptr()
