"""How much memory this process may use, and how much it and its children have used."""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path

import psutil

from bigunet.machine.cgroups import CgroupFiles, words

_INTERVAL_SECONDS = 0.25
# Runs that are at work at once share a measurement, which asks for all processes of the host.
_LOCK = threading.Lock()
_measured = (-_INTERVAL_SECONDS, 0)
# File with the limit of a control group, by the version of control groups.
_LIMIT_FILES = {1: "memory.limit_in_bytes", 2: "memory.max"}


def host_memory_bytes() -> int:
    """Memory of this host, in bytes, whatever this process may use of it."""
    return int(psutil.virtual_memory().total)


def usable_memory_bytes(cgroups: CgroupFiles | None = None) -> int:
    """Memory that this process may use, in bytes.

    This is the memory of the host, or the limit of a control group where that is smaller. A
    container, or a job of a batch system, usually has such a limit. Of nested groups the smallest
    limit holds.

    Parameters
    ----------
    cgroups : CgroupFiles, optional
        Where to read the limits; by default where Linux has them.
    """
    groups = (cgroups or CgroupFiles()).groups("memory")
    limits = [_limit(version, folder) for version, folder in groups]
    return min([host_memory_bytes(), *(limit for limit in limits if limit > 0)])


def _limit(version: int, folder: Path) -> int:
    """The limit of one group in bytes; 0 where it has none (no file, or ``max``).

    Version 1 writes a number near 2**63 for no limit, which is more than any host has.
    """
    match words(folder / _LIMIT_FILES[version]):
        case [limit] if limit.isdecimal():
            return int(limit)
    return 0


class MemoryWatch:
    """Measures the peak memory of this process and its children; use it as a context manager.

    It looks several times a second. Memory that processes share, such as libraries, is counted
    once where the system reports it (on Linux); elsewhere the resident sizes are added.
    """

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory-watch", daemon=True)
        self.peak_bytes = 0

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self.peak_bytes = max(self.peak_bytes, _recent_bytes())
            if self._stop.wait(_INTERVAL_SECONDS):
                return


def _recent_bytes() -> int:
    """Memory of this process and its children, as of now or of a moment ago."""
    global _measured
    with _LOCK:
        moment, num_bytes = _measured
        if time.monotonic() - moment > _INTERVAL_SECONDS / 2:
            num_bytes = _tree_bytes(psutil.Process())
            _measured = (time.monotonic(), num_bytes)
        return num_bytes


def _tree_bytes(root: psutil.Process) -> int:
    own, shared = 0, 0
    for process in [root, *root.children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            # Exact shares (PSS) would stop the process at each page fault while they are counted.
            sizes = process.memory_info()
            of_files = int(getattr(sizes, "shared", 0))
            own += int(sizes.rss) - of_files
            shared = max(shared, of_files)
    return own + shared
