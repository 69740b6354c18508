"""A bounded memory of decoded images, the least recently used dropped first."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
from cachetools import LRUCache


class DecodedImages:
    """Keeps whole images by key; threads may share it, and a pickled copy is empty.

    Parameters
    ----------
    max_bytes : int
        The most bytes that all images have together. The latest image is kept even if it alone
        has more.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._images: LRUCache[Hashable, np.ndarray] = LRUCache(
            max_bytes, getsizeof=lambda image: min(image.nbytes, max_bytes)
        )
        self._lock = threading.Lock()

    def get(self, key: Hashable, decode: Callable[[], np.ndarray]) -> np.ndarray:
        """Return the image of ``key``, decoded unless it is kept; nobody may write to it."""
        with self._lock:
            kept = self._images.get(key)
        if kept is not None:
            return kept
        image = decode()
        image.flags.writeable = False
        # Two threads may both have decoded it: that costs time and needs no waiting.
        with self._lock:
            self._images[key] = image
        return image

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.max_bytes,)
