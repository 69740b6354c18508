"""Keeps Ctrl-C, SIGTERM and SIGHUP away from processes and threads that must not handle them.

Threads and processes inherit the signals that their starter blocks. The functions that start
others therefore block signals first, and restore the mask of this thread afterwards.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from multiprocessing import resource_tracker

_STARTING_TRACKER = threading.Lock()


@contextlib.contextmanager
def interrupts_blocked() -> Iterator[None]:
    """Start Dask's workers such that Ctrl-C does not reach them: their client ends them.

    Workers that are restarted later inherit this, too.
    """
    # SIGUSR1 asks the client to stop. Batch systems send it to all processes of a job.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    try:
        _start_resource_tracker()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def interrupts_postponed() -> Iterator[None]:
    """Start processes such that Ctrl-C does not reach them: this process ends them.

    A terminal sends Ctrl-C to all of them. If this process gets one meanwhile, it handles it when
    all processes are started. The same holds for SIGTERM where this process handles it.
    """
    _start_resource_tracker()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with _handlers_postponed():
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def signals_for_main_thread() -> Iterator[None]:
    """Start threads that get no signals, so that the system gives them to the main thread."""
    numbers = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Ignore Ctrl-C, SIGTERM and SIGHUP during a clean-up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # A mask is not enough: another thread would get the signal, and Python would still run the
    # handler in the main thread.
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    for number in before:
        signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


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
