"""Whether this process keeps memory that it frees, for its next use."""

from __future__ import annotations

import ctypes
import sys

# Numbers of glibc's mallopt(3).
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_BYTES = 2**31 - 1


def keep_freed_memory() -> bool:
    """Keep freed memory until the process ends, as workers do; whether it is kept from now on.

    Otherwise each large array is new memory from the system: a pass of a network that computes
    next to nothing took 1.6 times as long. Only Linux with glibc can be told so.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return False
    # Both are asked for, also if one is refused.
    return all([mallopt(_TRIM_THRESHOLD, _BYTES), mallopt(_MMAP_THRESHOLD, _BYTES)])
