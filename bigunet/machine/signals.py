"""Keeps Ctrl-C, SIGTERM and SIGHUP away from processes and threads that must not handle them.

Threads and processes inherit the signals that their starter blocks. The functions that start
others therefore block signals first, and restore the mask of this thread afterwards.

Windows has neither masks nor most of these signals. There Ctrl-C reaches all processes of a
console.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from multiprocessing import resource_tracker

_STARTING_TRACKER = threading.Lock()


def signals_of(*names: str) -> tuple[signal.Signals, ...]:
    """The signals with these names that this system has.

    >>> signals_of("SIGINT", "SIGNONE")
    (<Signals.SIGINT: 2>,)
    """
    return tuple(signal.Signals[name] for name in names if name in signal.Signals.__members__)


@contextlib.contextmanager
def interrupts_blocked() -> Iterator[None]:
    """Start Dask's workers such that Ctrl-C does not reach them: their client ends them.

    Workers that are restarted later inherit this, too.
    """
    # SIGUSR1 asks the client to stop. Batch systems send it to all processes of a job.
    with _blocked("SIGUSR1"):
        _start_resource_tracker()
        with _blocked("SIGINT"):
            yield


@contextlib.contextmanager
def interrupts_postponed() -> Iterator[None]:
    """Start processes such that Ctrl-C does not reach them: this process ends them.

    A terminal sends Ctrl-C to all of them. If this process gets one meanwhile, it handles it when
    all processes are started. The same holds for SIGTERM where this process handles it.
    """
    _start_resource_tracker()
    with _blocked("SIGINT"), _handlers_postponed():
        yield


@contextlib.contextmanager
def signals_for_main_thread() -> Iterator[None]:
    """Start threads that get no signals, so that the system gives them to the main thread."""
    with _blocked("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"):
        yield


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Ignore Ctrl-C, SIGTERM and SIGHUP during a clean-up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # A mask is not enough: another thread would get the signal, and Python would still run the
    # handler in the main thread.
    numbers = signals_of("SIGINT", "SIGTERM", "SIGHUP")
    before = {number: signal.getsignal(number) for number in numbers}
    for number in before:
        signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


@contextlib.contextmanager
def child_handler_kept() -> Iterator[None]:
    """Give back the handler of SIGCHLD that somebody replaces meanwhile.

    Only the main thread has handlers; in others, and on Windows, nothing happens.
    """
    numbers = signals_of("SIGCHLD")
    if not numbers or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(numbers[0])
    try:
        yield
    finally:
        signal.signal(numbers[0], signal.SIG_DFL if before is None else before)


def ignore_ends_of_children() -> None:
    """Let no handler of SIGCHLD run any more in this process."""
    for number in signals_of("SIGCHLD"):
        signal.signal(number, signal.SIG_DFL)


@contextlib.contextmanager
def _blocked(*names: str) -> Iterator[None]:
    """Block signals in this thread, and restore its mask afterwards."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals_of(*names))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _handlers_postponed() -> Iterator[None]:
    """Run the handlers of SIGINT and SIGTERM at the end, if another thread gets the signal."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Python runs handlers in the main thread only.
        return
    received: list[int] = []
    numbers = [signal.SIGINT]
    if callable(signal.getsignal(signal.SIGTERM)):
        numbers.append(signal.SIGTERM)
    before = {n: signal.signal(n, lambda number, frame: received.append(number)) for n in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for received_number in received[:1]:
        signal.raise_signal(received_number)


def _start_resource_tracker() -> None:
    """Start Python's process that removes what killed processes leave.

    It must run before signals are blocked, because its start unblocks SIGINT. Its warnings are
    off: it would warn of each semaphore of a lost process, which was reported already.
    """
    # One thread at a time: another would take the setting of this one for the user's.
    with _STARTING_TRACKER:
        quiet = {"PYTHONWARNINGS": "ignore"} if "PYTHONWARNINGS" not in os.environ else {}
        os.environ.update(quiet)
        try:
            resource_tracker.ensure_running()
        finally:
            for name in quiet:
                os.environ.pop(name, None)
