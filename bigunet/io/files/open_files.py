"""Files that stay open between reads, and parts of them that stay decoded, both bounded."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

import numpy as np
from cachetools import LRUCache

from bigunet.io.files.file_image import FileSeries
from bigunet.io.images.array_reader import Selection
from bigunet.io.images.multiscale import Level

Stamp = tuple[str, int, int]
"""Address, time of the last change, and size of a file."""

MAX_OPEN = 16
_MAX_DECODED = 256 * 2**20


class OpenFile(ABC):
    """An open file of a process; threads may read from it at the same time."""

    @abstractmethod
    def read(self, level: Level, selection: Selection) -> np.ndarray:
        """Read a part of a level, in storage order and any byte order."""

    @abstractmethod
    def close(self) -> None:
        """Close the file; nobody reads from it any more."""


Opener = Callable[[FileSeries, Stamp], OpenFile]


class _Shared:
    """An open file, and the number of threads that read from it."""

    def __init__(self, file: OpenFile) -> None:
        self.file = file
        self.readers = 0
        self.dropped = False


class _LastFiles(LRUCache[Stamp, _Shared]):
    """Files that were read last; a file that is dropped is closed when nobody reads it."""

    def popitem(self) -> tuple[Stamp, _Shared]:
        key, shared = super().popitem()
        shared.dropped = True
        if not shared.readers:
            shared.file.close()
        return key, shared


class OpenFiles:
    """Keeps the files open that were read last: to open one may take long.

    Parameters
    ----------
    limit : int
        The most files that stay open.
    """

    def __init__(self, limit: int = MAX_OPEN) -> None:
        self._files = _LastFiles(limit)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._files)

    def read(
        self, series: FileSeries, opener: Opener, level: Level, selection: Selection
    ) -> np.ndarray:
        """Read a part of a level of an image; the file is opened unless it is open."""
        with self._opened(series, opener) as file:
            return file.read(level, selection)

    @contextmanager
    def _opened(self, series: FileSeries, opener: Opener) -> Iterator[OpenFile]:
        with self._lock:
            status = os.stat(series.path)
            stamp = (series.url, status.st_mtime_ns, status.st_size)
            shared = self._files.get(stamp)
            if shared is None:
                shared = _Shared(opener(series, stamp))
                self._files[stamp] = shared
            shared.readers += 1
        try:
            yield shared.file
        finally:
            with self._lock:
                shared.readers -= 1
                if shared.dropped and not shared.readers:
                    shared.file.close()


class DecodedParts:
    """Decoded parts of files, such as planes; of threads that want one part, one decodes it.

    Parameters
    ----------
    max_bytes : int
        The most bytes that all parts have together. The latest part is kept even if it alone has
        more, so that a large plane is decoded once for the blocks in it.
    """

    def __init__(self, max_bytes: int = _MAX_DECODED) -> None:
        self._parts: LRUCache[Hashable, np.ndarray] = LRUCache(
            max_bytes, getsizeof=lambda part: min(part.nbytes, max_bytes)
        )
        self._lock = threading.Lock()
        self._gates: dict[Hashable, threading.Lock] = {}

    def get(self, key: Hashable, decode: Callable[[], np.ndarray]) -> np.ndarray:
        """Return the part of ``key``, decoded unless it is kept; nobody may write to it."""
        with self._lock:
            part = self._parts.get(key)
            if part is not None:
                return part
            gate = self._gates.setdefault(key, threading.Lock())
        with gate:
            with self._lock:
                part = self._parts.get(key)
            if part is None:
                part = decode()
                part.flags.writeable = False
                with self._lock:
                    self._parts[key] = part
                    self._gates.pop(key, None)
        return part


open_files = OpenFiles()
decoded_parts = DecodedParts()
