"""State of this process that runs share which overlap in time."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator


class Overlapping:
    """A change of this process that lasts while any run needs it.

    The first run makes the change, and the last one undoes it. If each run did so for itself, one
    that began second and ended last would bring back the state that the first run had made.

    Parameters
    ----------
    change : callable
        Returns a context manager, which makes the change and undoes it.
    """

    def __init__(self, change: Callable[[], contextlib.AbstractContextManager[object]]) -> None:
        self._change = change
        self._lock = threading.Lock()
        self._num_runs = 0
        self._undo = contextlib.ExitStack()

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        """Have the change made while the block runs."""
        with self._lock:
            if self._num_runs == 0:
                self._undo.enter_context(self._change())
            self._num_runs += 1
        try:
            yield
        finally:
            with self._lock:
                self._num_runs -= 1
                if self._num_runs == 0:
                    self._undo.close()
