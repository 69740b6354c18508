"""Ctrl-C while processes are started: it is for the process that a person runs, not for those."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker


@contextmanager
def deaf_to_interrupts() -> Iterator[None]:
    """Start processes that Ctrl-C does not reach: this one ends them, and says so in one line.

    A terminal sends it to them all. The interrupt of this process is delivered afterwards.
    """
    _start_resource_tracker()
    # For the processes, which inherit it.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with _postponed():
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@contextmanager
def _postponed() -> Iterator[None]:
    """Handle an interrupt that another thread of this process takes, but not in mid-start.

    So too SIGTERM, where this process handles it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Handlers run in the main thread.
        return
    told: list[int] = []
    numbers = [signal.SIGINT]
    if callable(signal.getsignal(signal.SIGTERM)):
        numbers.append(signal.SIGTERM)
    before = {n: signal.signal(n, lambda number, frame: told.append(number)) for n in numbers}
    try:
        yield
    finally:
        for handled, handler in before.items():
            signal.signal(handled, handler)
    for number in told[:1]:
        signal.raise_signal(number)


def _start_resource_tracker() -> None:
    """Start Python's process that removes what killed ones leave, before the mask, which it lifts.

    It warns of each semaphore that it removes: what a lost process left, told already.
    """
    quiet = {"PYTHONWARNINGS": "ignore"} if "PYTHONWARNINGS" not in os.environ else {}
    os.environ.update(quiet)
    try:
        resource_tracker.ensure_running()
    finally:
        for name in quiet:
            del os.environ[name]
