"""Training processes side by side: what they tell this one, and that all end when one is lost.

This process only listens, so that nothing that the others wait for can keep it from seeing one of
them end.
"""

from __future__ import annotations

import logging
import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from bigunet.errors import BigUNetError, ClusterError
from bigunet.machine.signals import interrupts_postponed
from bigunet.training.run.member import (
    ENDING_SECONDS,
    READY,
    Done,
    Failed,
    Kind,
    Logged,
    Task,
    be_member,
)

_START_SECONDS = 300
"""Until all are ready: Python and torch start slowly on a machine that is busy."""
_LOOK_SECONDS = 1
_TELLING_SECONDS = 5
_SETTLED = (Kind.UNFORESEEN, Kind.LOST)
"""Of the others, the first process may say more, or one may be found lost."""


class _Member:
    """One of the processes, as this one sees it."""

    def __init__(self, task: Task, rank: int) -> None:
        self.rank = rank
        self.ready = False
        self.underway = False
        self.last: Done | Failed | None = None
        self.incoming, outgoing = multiprocessing.Pipe(duplex=False)
        # A fork would copy the locks of torch's and zarr's threads, held or not.
        self.process: BaseProcess = multiprocessing.get_context("spawn").Process(
            target=be_member, args=(task, rank, outgoing), name=f"train-{rank}"
        )
        self.process.start()
        # The process's own end is then the only one, and closes when it ends.
        outgoing.close()

    def hear(self) -> Iterator[object]:
        """What it has told since, but for what is kept here."""
        # Looked at before the last message is read, not after.
        gone = self.process.exitcode is not None
        while (told := _received(self.incoming)) is not None:
            if isinstance(told, (Done, Failed)):
                self.last = told
            elif told == READY:
                self.ready = True
            elif isinstance(told, Logged):
                logging.getLogger(told.name).log(told.level, "%s", told.message)
            else:
                yield told
        if gone and self.last is None:
            self.last = Failed(Kind.LOST, self.rank, ClusterError(self._ending()))

    def _ending(self) -> str:
        code = self.process.exitcode or 0
        told = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
        if -code == signal.SIGKILL:
            told = f"{told}, as when memory runs out"
        if not self.ready:
            return f"training process {self.rank} ended while it started ({told})"
        advice = "; go on with --resume" if self.underway else ""
        return f"training process {self.rank} was lost ({told}){advice}"


def run_together(
    task: Task,
    count: int,
    on_told: Callable[[Any], None],
    *,
    start_seconds: float = _START_SECONDS,
) -> Any:
    """Call a function in ``count`` processes at once; what it returns in the first one.

    Parameters
    ----------
    task : callable
        Called with the number of the process and a function that tells this process something;
        it tells ``READY`` once it has found the others. Pickled, as all that it tells.
    count : int
    on_told : callable
        Given all else that they tell.
    start_seconds : float
        Until all must be ready.

    Raises
    ------
    BigUNetError
        What one of them raised; or :class:`ClusterError`, if one ended without a word, raised
        something else, or was not ready in time. All have ended then.
    """
    members: list[_Member] = []
    try:
        with interrupts_postponed():
            for rank in range(count):
                members.append(_Member(task, rank))
        result = _follow(members, on_told, time.monotonic() + start_seconds)
        for member in members:
            member.process.join(ENDING_SECONDS)
        return result
    finally:
        _end(members)


def _follow(members: Sequence[_Member], on_told: Callable[[Any], None], deadline: float) -> Any:
    while True:
        _wait(members)
        for member in members:
            for told in member.hear():
                on_told(told)
                for other in members:
                    other.underway = True
        if isinstance(members[0].last, Done):
            return members[0].last.result
        if any(isinstance(member.last, Failed) for member in members):
            raise _cause(members)
        late = [member.rank for member in members if not (member.ready or member.last)]
        if late and time.monotonic() > deadline:
            raise ClusterError(
                f"training process {late[0]} did not start in time: the machine may be too busy "
                f"for {len(members)} processes"
            )


def _cause(members: Sequence[_Member]) -> BigUNetError:
    """Which error the others follow from, once they have had time to tell theirs."""
    until = time.monotonic() + _TELLING_SECONDS
    while True:
        for member in members:
            list(member.hear())
        cause = min((m.last for m in members if isinstance(m.last, Failed)), key=_order)
        silent = any(member.last is None for member in members)
        if cause.kind in _SETTLED or not silent or time.monotonic() > until:
            return cause.error
        _wait(members)


def _order(failed: Failed) -> tuple[int, float]:
    return failed.kind, failed.order


def _wait(members: Sequence[_Member]) -> None:
    """Until one of them tells something or ends, or for a moment."""
    incoming = [member.incoming for member in members if not member.incoming.closed]
    going = [member.process.sentinel for member in members if member.process.exitcode is None]
    # For a moment: a process that a lost one has started may keep its ends open.
    connection.wait([*incoming, *going], _LOOK_SECONDS)


def _received(incoming: Connection) -> object | None:
    """The next message that is there; None if there is none."""
    try:
        return incoming.recv() if not incoming.closed and incoming.poll() else None
    except (EOFError, OSError):
        # The process has ended, perhaps in the middle of a message.
        incoming.close()
        return None


def _end(members: Sequence[_Member]) -> None:
    for member in members:
        if member.process.is_alive() and member.ready:
            member.process.terminate()
        elif member.process.is_alive():
            # It has started no others yet, and one that waits for the others does not listen.
            member.process.kill()
    until = time.monotonic() + ENDING_SECONDS
    for member in members:
        member.process.join(max(0.0, until - time.monotonic()))
        if member.process.is_alive():
            member.process.kill()
            member.process.join()
        member.process.close()
        member.incoming.close()
