"""Peak memory of this process and its children, by looking several times a second."""

from __future__ import annotations

import contextlib
import threading

import psutil

_INTERVAL_SECONDS = 0.25


class MemoryWatch:
    """Watches the process tree while it is open; use it as a context manager.

    Memory that processes share, such as libraries, is counted once where the system tells it apart
    (on Linux); elsewhere resident sizes are added.
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
        me = psutil.Process()
        while True:
            self.peak_bytes = max(self.peak_bytes, _tree_bytes(me))
            if self._stop.wait(_INTERVAL_SECONDS):
                return


def _tree_bytes(root: psutil.Process) -> int:
    own, shared = 0, 0
    for process in [root, *root.children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            # Exact shares (PSS) would stop the process at each page fault while they are counted.
            told = process.memory_info()
            of_files = int(getattr(told, "shared", 0))
            own += int(told.rss) - of_files
            shared = max(shared, of_files)
    return own + shared
