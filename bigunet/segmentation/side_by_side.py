"""Does tasks in threads: as many at a time as keep all workers busy; outcomes come in order.

It knows nothing of images: a task has a number, and some blocks that are left to do.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Generic, TypeVar

from bigunet.machine.interrupts import interrupt
from bigunet.machine.signals import signals_for_main_thread

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TaskSize:
    """What a task takes of the workers.

    Parameters
    ----------
    blocks : int
        Blocks that it would give to the workers, at the most.
    together : int
        The most tasks that may be at work at a time while it is at work, itself included.
    """

    blocks: int
    together: int


class SideBySide(Generic[T]):
    """Tasks in threads. A further task begins while those at work have too few blocks left.

    Parameters
    ----------
    do : callable
        Does the task of a number. It calls its second argument with the number of blocks that
        are left, whenever this number changes. An exception of it ends all tasks.
    size_of : callable
        The size of the task of a number, before it begins.
    enough : callable
        The number of blocks that keep all workers busy.
    stop : threading.Event, optional
        When it is set, no further task begins. Tasks at work are expected to end by themselves.
    """

    def __init__(
        self,
        do: Callable[[int, Callable[[int], None]], T],
        *,
        size_of: Callable[[int], TaskSize],
        enough: Callable[[], int],
        stop: threading.Event | None = None,
    ) -> None:
        self._do, self._size_of, self._enough = do, size_of, enough
        self._stop = stop or threading.Event()
        self._changed = threading.Condition()
        self._is_changed = False
        self._left: dict[int, int] = {}
        self._together: dict[int, int] = {}
        self._threads: dict[int, threading.Thread] = {}
        self._done: dict[int, T] = {}
        self._failures: list[BaseException] = []
        self._next, self._count = 0, 0
        self._next_size: TaskSize | None = None

    def run(self, count: int) -> Generator[T, None, None]:
        """Do the tasks 0 to ``count`` - 1, and yield their outcomes in this order.

        It ends before a task that did not begin because of ``stop``. If the caller leaves early,
        or an exception comes, all tasks at work are interrupted, and it waits for their end.
        """
        self._count = count
        try:
            for number in range(count):
                while number not in self._done:
                    self._begin_more()
                    if not self._wait():
                        return
                yield self._done.pop(number)
        finally:
            self._end()

    def finish(self) -> list[T]:
        """Wait for the tasks at work; the outcomes that were not yielded, in order."""
        while self._wait():
            pass
        return [self._done[number] for number in sorted(self._done)]

    def _begin_more(self) -> None:
        while not self._stop.is_set() and self._next < self._count:
            self._next_size = self._next_size or self._size_of(self._next)
            if not self._has_room(self._next_size):
                return
            self._begin(self._next, self._next_size)
            self._next, self._next_size = self._next + 1, None

    def _has_room(self, size: TaskSize) -> bool:
        with self._changed:
            if not self._left:
                return True
            # A task at work counts for one block at least: it reads, or it ends a stage.
            left = sum(max(1, blocks) for blocks in self._left.values())
            together = min(size.together, *self._together.values())
            if len(self._left) >= together:
                return False
        return left < self._enough()

    def _begin(self, number: int, size: TaskSize) -> None:
        # A thread that hangs in a library must not keep the process from its end.
        thread = threading.Thread(
            target=self._work, args=(number,), name=f"bigunet-{number}", daemon=True
        )
        # No signal comes between, so that each thread that has begun is known.
        with signals_for_main_thread():
            with self._changed:
                self._left[number], self._together[number] = size.blocks, size.together
                self._threads[number] = thread
            thread.start()

    def _work(self, number: int) -> None:
        """The whole life of a thread. An interrupt may also come just after its task."""
        with contextlib.suppress(KeyboardInterrupt):
            try:
                self._done[number] = self._do(number, lambda left: self._note(number, left))
            except BaseException as error:
                self._failures.append(error)
            with self._changed:
                del self._left[number], self._together[number], self._threads[number]
                self._wake()

    def _note(self, number: int, left: int) -> None:
        with self._changed:
            self._left[number] = left
            self._wake()

    def _wake(self) -> None:
        self._is_changed = True
        self._changed.notify()

    def _wait(self) -> bool:
        """Wait for a change; False if no task is at work, and none ended since the last look."""
        with self._changed:
            if not self._left and not self._is_changed:
                return False
            while not self._is_changed:
                self._changed.wait()
            self._is_changed = False
        if self._failures:
            raise self._failures[0]
        return True

    def _end(self) -> None:
        """Interrupt the tasks at work, and wait for their end."""
        with self._changed:
            threads = list(self._threads.values())
            for thread in threads:
                interrupt(thread)
        for thread in threads:
            thread.join()
