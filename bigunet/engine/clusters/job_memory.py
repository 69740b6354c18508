"""How the memory of a batch job and the memory that bigunet may take in it belong together."""

from __future__ import annotations

import math

_MIB = 1 << 20
# Slurm may count pages that processes share once for each, and what was read from files.
_MEMORY_MARGIN = 1.1
_MEMORY_BEYOND_BYTES = 500_000_000
_MEMORY_STEP_MIB = 100


def memory_limit_of(job_bytes: int) -> int:
    """What bigunet may take in a job of this much memory, in bytes."""
    return max(1, int((job_bytes - _MEMORY_BEYOND_BYTES) / _MEMORY_MARGIN))


def job_memory_mib(limit_bytes: int) -> int:
    """What a job needs in which bigunet keeps within a limit."""
    needed = (limit_bytes * _MEMORY_MARGIN + _MEMORY_BEYOND_BYTES) / _MIB
    return math.ceil(needed / _MEMORY_STEP_MIB) * _MEMORY_STEP_MIB
