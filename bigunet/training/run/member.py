"""One of several training processes: what it runs, and the messages that it sends.

They go to the process that started it, which is called the starting process here.
"""

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
from bigunet.machine.signals import ignore_ends_of_children

Send = Callable[[object], None]
"""Sends a message to the starting process."""
Task = Callable[[int, Send], object]
"""Called with the rank of the process, and with the function that sends messages."""

READY: Literal["ready"] = "ready"
"""The message of a process that is connected to all others."""
ENDING_SECONDS = 10
"""Time that a process has to end by itself after it was asked to end."""


@dataclass(frozen=True, slots=True)
class Done:
    """The last message of a process that succeeded: what its task returned."""

    result: Any


class FailureKind(IntEnum):
    """Kinds of failures, ordered: if several processes fail, the lowest kind is the cause."""

    FORESEEN = 0
    UNFORESEEN = 1
    LOST = 2
    PERHAPS_FOLLOWING = 3  # torch raises such an error when another process's connection closes


@dataclass(frozen=True, slots=True)
class Failed:
    """The last message of a process that failed.

    Among failures of one kind, the lowest order is the cause. The order is the rank for foreseen
    errors and lost processes, and the time for others.
    """

    kind: FailureKind
    order: float
    error: BigUNetError


@dataclass(frozen=True, slots=True)
class Logged:
    """A log message, for the starting process, which has the handlers."""

    name: str
    level: int
    message: str


def be_member(task: Task, rank: int, outgoing: Connection) -> None:
    """Run the task, send how it ended, and end; end earlier if the starting process is gone."""
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    lock = threading.Lock()

    def send(message: object) -> None:
        with lock:
            outgoing.send(message)

    # Some libraries show their warnings whatever the environment says.
    logging.captureWarnings(True)
    logging.getLogger().addHandler(_SendingHandler(send) if rank == 0 else logging.NullHandler())
    try:
        last: Done | Failed = Done(task(rank, send))
    except Exception as error:
        last = _failed(error, rank)
    # The process ends by itself now.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with contextlib.suppress(BrokenPipeError):
        send(last)
    sys.exit(isinstance(last, Failed))


def _leave(number: int, frame: object) -> None:
    """End at once, with the processes that draw patches.

    An exception instead could be caught wherever this process happens to be.
    """
    # Torch would raise an error for each of them.
    ignore_ends_of_children()
    for child in multiprocessing.active_children():
        child.terminate()
    os._exit(128 + number)


def _failed(error: Exception, rank: int) -> Failed:
    if isinstance(error, BigUNetError):
        failed = Failed(FailureKind.FORESEEN, rank, type(error)(str(error)))
    else:
        may_follow = isinstance(error, RuntimeError)
        kind = FailureKind.PERHAPS_FOLLOWING if may_follow else FailureKind.UNFORESEEN
        message = f"training process {rank} failed: {type(error).__name__}: {error}"
        failed = Failed(kind, time.monotonic(), ClusterError(message))
    failed.error.add_note("".join(traceback.format_exception(error)))
    return failed


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is None:
        raise AssertionError("a member is a process that another process started")
    connection.wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(ENDING_SECONDS)
    os._exit(1)


class _SendingHandler(logging.Handler):
    """Sends log messages to the starting process."""

    def __init__(self, send: Send) -> None:
        super().__init__()
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        self._send(Logged(record.name, record.levelno, record.getMessage()))
