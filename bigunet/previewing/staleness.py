"""Whether a page shows chunks that were served before all of their blocks were done."""

from __future__ import annotations

import threading


class Staleness:
    """What a page has read, and what has changed since. Several threads may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._served_early, self._stale = False, False

    def serve(self) -> None:
        """Note that a chunk is served before all of its blocks are done."""
        with self._lock:
            self._served_early = True

    def change(self) -> None:
        """Note that a block is done."""
        with self._lock:
            self._stale = self._stale or self._served_early

    def renew(self) -> bool:
        """Whether something that was served has changed; the page then reads all anew."""
        with self._lock:
            stale = self._stale
            if stale:
                self._served_early, self._stale = False, False
            return stale
