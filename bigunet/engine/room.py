"""Limits the blocks that one process holds at a time, however many threads it has."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from bigunet.engine.stage import Index, Result, Work


class Room:
    """A context manager that lets so many threads of a process in; the others wait.

    It is pickled as its size alone: each process has room of its own.

    Parameters
    ----------
    size : int
        Blocks at a time, 1 or more.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._free = threading.BoundedSemaphore(size)

    def __reduce__(self) -> tuple[type[Room], tuple[int]]:
        return Room, (self._size,)

    def __enter__(self) -> None:
        self._free.acquire()

    def __exit__(self, *_: object) -> None:
        self._free.release()


@dataclass(frozen=True)
class WithRoom:
    """Work that waits for room before each block; see :class:`bigunet.engine.stage.Work`."""

    work: Work
    room: Room

    def __call__(self, index: Index) -> Result:
        """Do one block."""
        with self.room:
            return self.work(index)
