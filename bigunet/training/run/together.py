"""Runs a task in several processes at once, and ends all of them when one is lost.

The starting process only listens, so that nothing can keep it from noticing that a process ended.

Torch's own ``torch.multiprocessing.spawn`` does not fit. It reports the first process that it sees
fail, which may have failed only because another process did. It returns an error as the text of a
traceback, so the error's class is lost. It passes on neither results nor events, and has no
deadline for the start. ``torch.distributed.elastic`` also sends no events, its launcher's
rendezvous listens on a TCP port, and it restarts processes, which must not happen here: a run
continues from its checkpoint. With either of them, most of this file would remain.
"""

from __future__ import annotations

import logging
import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

from bigunet.errors import BigUNetError, ClusterError
from bigunet.machine.signals import interrupts_postponed
from bigunet.training.run.member import (
    ENDING_SECONDS,
    READY,
    Done,
    Failed,
    FailureKind,
    Logged,
    Task,
    be_member,
)

_START_SECONDS = 300
"""Time until all processes must be ready: Python and torch start slowly on a busy machine."""
_WAKE_SECONDS = 1
_EXPLAINING_SECONDS = 5
"""Time that the other processes have to send their errors after the first error arrived."""
_CERTAIN_CAUSES = (FailureKind.UNFORESEEN, FailureKind.LOST)
"""Failures that are the cause whatever the other processes send. After a foreseen error the first
process may send a better one; an error that perhaps follows may have a cause in another process."""


class _StartedProcess:
    """One of the processes, as the starting process sees it."""

    def __init__(self, task: Task, rank: int) -> None:
        self.rank = rank
        self.is_ready = False
        self.has_begun = False
        self.last: Done | Failed | None = None
        self.incoming, outgoing = multiprocessing.Pipe(duplex=False)
        # A fork would copy the locks of torch's and zarr's threads, locked or not.
        self.process: BaseProcess = multiprocessing.get_context("spawn").Process(
            target=be_member, args=(task, rank, outgoing), name=f"train-{rank}"
        )
        self.process.start()
        # The started process then has the only open end, which closes when the process ends.
        outgoing.close()

    def new_messages(self) -> Iterator[object]:
        """The messages that have arrived, except those that this object keeps or logs itself."""
        # Asked before the last message is read: a process may send a message and end in between.
        has_ended = self.process.exitcode is not None
        while (message := _received(self.incoming)) is not None:
            if isinstance(message, (Done, Failed)):
                self.last = message
            elif message == READY:
                self.is_ready = True
            elif isinstance(message, Logged):
                logging.getLogger(message.name).log(message.level, "%s", message.message)
            else:
                yield message
        if has_ended and self.last is None:
            self.last = Failed(FailureKind.LOST, self.rank, ClusterError(self._loss_message()))

    def _loss_message(self) -> str:
        code = self.process.exitcode or 0
        cause = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
        if cause == "SIGKILL":
            cause = f"{cause}, as when memory runs out"
        if not self.is_ready:
            return f"training process {self.rank} ended while it started ({cause})"
        advice = "; go on with --resume" if self.has_begun else ""
        return f"training process {self.rank} was lost ({cause}){advice}"


def run_together(
    task: Task,
    count: int,
    on_message: Callable[[Any], None],
    *,
    start_seconds: float = _START_SECONDS,
) -> Any:
    """Run a task in ``count`` processes at once, and return the result of the first process.

    Parameters
    ----------
    task : callable
        Called with the rank of its process, and with a function that sends a message to this
        process. It sends ``READY`` once it is connected to the others. The task and its messages
        are pickled.
    count : int
    on_message : callable
        Called with each other message.
    start_seconds : float
        Time until all processes must be ready.

    Raises
    ------
    BigUNetError
        The error that one of the processes raised; or :class:`ClusterError`, if a process ended
        without a message, raised another error, or was not ready in time. All processes have
        ended by then.
    """
    started: list[_StartedProcess] = []
    try:
        with interrupts_postponed():
            for rank in range(count):
                started.append(_StartedProcess(task, rank))
        result = _follow(started, on_message, time.monotonic() + start_seconds)
        for one in started:
            one.process.join(ENDING_SECONDS)
        return result
    finally:
        _end(started)


def _follow(
    started: Sequence[_StartedProcess], on_message: Callable[[Any], None], deadline: float
) -> Any:
    while True:
        _wait(started)
        for one in started:
            for message in one.new_messages():
                on_message(message)
                for other in started:
                    other.has_begun = True
        if isinstance(started[0].last, Done):
            return started[0].last.result
        if any(isinstance(one.last, Failed) for one in started):
            raise _cause(started)
        late = [one.rank for one in started if not (one.is_ready or one.last)]
        if late and time.monotonic() > deadline:
            raise ClusterError(
                f"training process {late[0]} did not start in time: the machine may be too busy "
                f"for {len(started)} processes"
            )


def _cause(started: Sequence[_StartedProcess]) -> BigUNetError:
    """The error that caused the others; the other processes get some time to send theirs."""
    until = time.monotonic() + _EXPLAINING_SECONDS
    while True:
        for one in started:
            list(one.new_messages())
        cause = min((one.last for one in started if isinstance(one.last, Failed)), key=_order)
        silent = any(one.last is None for one in started)
        if cause.kind in _CERTAIN_CAUSES or not silent or time.monotonic() > until:
            return cause.error
        _wait(started)


def _order(failed: Failed) -> tuple[int, float]:
    return failed.kind, failed.order


def _wait(started: Sequence[_StartedProcess]) -> None:
    """Wait until one of the processes sends a message or ends, at most for a moment."""
    incoming = [one.incoming for one in started if not one.incoming.closed]
    running = [one.process.sentinel for one in started if one.process.exitcode is None]
    # At most for a moment: a process that a lost one has started may keep its ends open.
    connection.wait([*incoming, *running], _WAKE_SECONDS)


class _Incoming(Protocol):
    """The end of a pipe that messages come out of; its class is another one on Windows."""

    @property
    def closed(self) -> bool: ...

    def poll(self) -> bool: ...

    def recv(self) -> Any: ...

    def close(self) -> None: ...


def _received(incoming: _Incoming) -> object | None:
    """The next message that has arrived; None if there is none."""
    try:
        return incoming.recv() if not incoming.closed and incoming.poll() else None
    except (EOFError, OSError):
        # The process has ended, perhaps in the middle of a message.
        incoming.close()
        return None


def _end(started: Sequence[_StartedProcess]) -> None:
    for one in started:
        if one.process.is_alive() and one.is_ready:
            one.process.terminate()
        elif one.process.is_alive():
            # It has started no process yet, and while it waits for the others it hears no signal.
            one.process.kill()
    until = time.monotonic() + ENDING_SECONDS
    for one in started:
        one.process.join(max(0.0, until - time.monotonic()))
        if one.process.is_alive():
            one.process.kill()
            one.process.join()
        one.process.close()
        one.incoming.close()
