"""Ctrl-C while processes are started: it is for the process that a person runs, not for those."""

from __future__ import annotations

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
    # Started by the first process, it would lift the mask.
    resource_tracker.ensure_running()
    if threading.current_thread() is not threading.main_thread():
        yield  # Only the main thread is interrupted.
        return
    interrupted: list[int] = []
    # The mask is for the processes, which inherit it; the handler for other threads of this one,
    # which would pass the interrupt on in the midst of a start.
    handler = signal.signal(signal.SIGINT, lambda number, frame: interrupted.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, handler)
    if interrupted:
        raise KeyboardInterrupt
