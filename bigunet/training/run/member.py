"""One of several training processes: its life, and what it tells the process that started it."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from multiprocessing import connection
from multiprocessing.connection import Connection
from typing import Any, Literal

from bigunet.errors import BigUNetError, ClusterError

Tell = Callable[[object], None]
Task = Callable[[int, Tell], object]

READY: Literal["ready"] = "ready"
"""Told by a process that has found all others."""
ENDING_SECONDS = 10
"""That a process has to end by itself, when it is told to."""


@dataclass(frozen=True, slots=True)
class Done:
    """The last word of a process whose part is done: what it returned."""

    result: Any


class Kind(IntEnum):
    """Of failures: where several processes failed, the first kind is the cause."""

    FORESEEN = 0
    UNFORESEEN = 1
    LOST = 2
    PERHAPS_FOLLOWING = 3  # torch says with such an error that another one's connection closed


@dataclass(frozen=True, slots=True)
class Failed:
    """The last word of a process that failed.

    Of one kind, the lowest order is the cause: the rank of those that were foreseen or lost, the
    time of the others.
    """

    kind: Kind
    order: float
    error: BigUNetError


@dataclass(frozen=True, slots=True)
class Logged:
    """A log message, for the process that has the handlers."""

    name: str
    level: int
    message: str


def be_member(task: Task, rank: int, outgoing: Connection) -> None:
    """Do one's part, tell how it ended, and end; sooner, if the process that listens is gone."""
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    one_at_a_time = threading.Lock()

    def tell(told: object) -> None:
        with one_at_a_time:
            outgoing.send(told)

    # Some libraries show their warnings whatever the environment says.
    logging.captureWarnings(True)
    logging.getLogger().addHandler(_Forward(tell) if rank == 0 else logging.NullHandler())
    try:
        last: Done | Failed = Done(task(rank, tell))
    except Exception as error:
        last = _failed(error, rank)
    # It ends by itself now.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with contextlib.suppress(BrokenPipeError):
        tell(last)
    sys.exit(isinstance(last, Failed))


def _leave(number: int, frame: object) -> None:
    """End at once, and the processes that draw patches, too; an exception could end up anywhere."""
    # Torch would raise for each of them.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for child in multiprocessing.active_children():
        child.terminate()
    os._exit(128 + number)


def _failed(error: Exception, rank: int) -> Failed:
    if isinstance(error, BigUNetError):
        failed = Failed(Kind.FORESEEN, rank, type(error)(str(error)))
    else:
        kind = Kind.PERHAPS_FOLLOWING if isinstance(error, RuntimeError) else Kind.UNFORESEEN
        told = f"training process {rank} failed: {type(error).__name__}: {error}"
        failed = Failed(kind, time.monotonic(), ClusterError(told))
    failed.error.add_note("".join(traceback.format_exception(error)))
    return failed


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is None:
        raise AssertionError("a member is a process that was started")
    connection.wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(ENDING_SECONDS)
    os._exit(1)


class _Forward(logging.Handler):
    """Tells log messages."""

    def __init__(self, tell: Tell) -> None:
        super().__init__()
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        self._tell(Logged(record.name, record.levelno, record.getMessage()))
