"""Keeping Ctrl-C, SIGTERM and SIGHUP from what they are not meant for."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from multiprocessing import resource_tracker


@contextlib.contextmanager
def interrupts_blocked() -> Iterator[None]:
    """Start processes that Ctrl-C does not reach: their client ends them, without tracebacks.

    Threads and processes inherit what their starter blocks, so workers that are started anew
    later are spared as well.
    """
    # SIGUSR1 asks their client to come to an end; batch systems send it to the whole group.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    try:
        # Started by the first worker, it would unblock SIGINT in the thread that starts it.
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def signals_for_main_thread() -> Iterator[None]:
    """Start threads that signals do not reach: the system hands them to the main thread at once.

    Threads inherit what their starter blocks, and so do those that they start.
    """
    numbers = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Ignore Ctrl-C, SIGTERM and SIGHUP for as long as it takes to clean up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # Blocking is not enough: another thread would take the signal, and Python tell this one.
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    for number in before:
        signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
