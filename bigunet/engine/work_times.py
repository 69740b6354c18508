"""When and where a block was done: which worker, which of its threads, since when, how long."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Iterator

from bigunet.engine.stage import Result

_TAKEN: dict[str, set[int]] = defaultdict(set)
_LOCK = threading.Lock()


@contextlib.contextmanager
def timed(worker: str) -> Iterator[Result]:
    """Measure what a thread of a worker does for a block.

    Parameters
    ----------
    worker : str
        Address of the worker. Several workers may share a process.

    Yields
    ------
    dict
        When the block is left, it has ``worker`` (host, process and name), ``thread`` (the least
        number that no other block of the worker has at this time), ``begun`` (seconds since 1970)
        and ``seconds``.
    """
    measured: Result = {}
    begun, clock = time.time(), time.perf_counter()
    with _numbered(worker) as thread:
        yield measured
    measured |= {
        "worker": _name(worker),
        "thread": thread,
        "begun": round(begun, 3),
        "seconds": round(time.perf_counter() - clock, 4),
    }


@contextlib.contextmanager
def _numbered(worker: str) -> Iterator[int]:
    """The least number that is free among the blocks of a worker."""
    with _LOCK:
        taken = _TAKEN[worker]
        number = next(n for n in range(len(taken) + 1) if n not in taken)
        taken.add(number)
    try:
        yield number
    finally:
        with _LOCK:
            taken.discard(number)


def _name(worker: str) -> str:
    """Names a worker among all of a run, also where its parts have schedulers of their own."""
    last = worker.rpartition("/")[2].rpartition(":")[2]
    return f"{socket.gethostname()}:{os.getpid()}:{last}"
