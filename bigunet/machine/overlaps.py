"""Changes of this process that several runs need at the same time."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator


class Overlapping:
    """A change of this process that lasts as long as any run needs it.

    The first run makes the change, and the last one undoes it. If each run did this alone, a run
    that began second and ended last would restore the changed state that it had seen first.

    Parameters
    ----------
    change : callable
        Returns a context manager that makes the change and undoes it.
    """

    def __init__(self, change: Callable[[], contextlib.AbstractContextManager[object]]) -> None:
        self._change = change
        self._lock = threading.Lock()
        self._num_runs = 0
        self._undo = contextlib.ExitStack()

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        """Keep the change while the block runs."""
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
