"""Converts between the memory of a batch job and the memory limit of bigunet within it."""

from __future__ import annotations

import math

_MIB = 1 << 20
# Slurm may count shared pages once for each process, and also cached files.
_MEMORY_MARGIN = 1.1
_MEMORY_BEYOND_BYTES = 500_000_000
_MEMORY_STEP_MIB = 100


def memory_limit_of(job_bytes: int) -> int:
    """The memory limit of bigunet in a job with this much memory, in bytes."""
    return max(1, int((job_bytes - _MEMORY_BEYOND_BYTES) / _MEMORY_MARGIN))


def job_memory_mib(limit_bytes: int) -> int:
    """The memory that a job needs for this memory limit of bigunet, in MiB."""
    needed = (limit_bytes * _MEMORY_MARGIN + _MEMORY_BEYOND_BYTES) / _MIB
    return math.ceil(needed / _MEMORY_STEP_MIB) * _MEMORY_STEP_MIB
