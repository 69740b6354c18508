"""Dask's settings for the workers that bigunet starts, on this host or in jobs."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

# One thread computes, one reads the next block, one writes the last.
THREADS_PER_WORKER = 3
_ENVIRON = "distributed.nanny.pre-spawn-environ."
# Dask makes workers return freed memory at once. The page faults then cost nearly as much as a
# forward pass: 0.22 s of system time beside 0.27 s, per 876² tile of a 16-wide U-Net. With these
# thresholds they cost 0.01 s.
SETTINGS: dict[str, Any] = {
    "distributed.comm.timeouts.connect": "60s",
    f"{_ENVIRON}MALLOC_TRIM_THRESHOLD_": 4_000_000_000,
    f"{_ENVIRON}MALLOC_MMAP_THRESHOLD_": 4_000_000_000,
    # Dask's health checks, 50 and 100 per second, took 6 % of a core from two that computed.
    "distributed.admin.tick.interval": "500ms",
    "distributed.worker.profile.interval": "100ms",
    "distributed.worker.memory.monitor-interval": "500ms",
    # Ten minutes instead of an hour, which would take four megabytes per process.
    "distributed.admin.system-monitor.log-length": 1200,
    # GPUs have the numbers of NVML; by default the fastest GPU is the first.
    f"{_ENVIRON}CUDA_DEVICE_ORDER": "PCI_BUS_ID",
    # Warnings of libraries are for developers, and would break the progress bar.
    f"{_ENVIRON}PYTHONWARNINGS": "ignore",
}


def exports(settings: Mapping[str, Any]) -> list[str]:
    """Settings as lines of a shell script, for workers on other hosts.

    >>> exports({"distributed.comm.timeouts.connect": "60s"})
    ['export DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT=60s']
    """
    return [f"export {_variable(key)}={shlex.quote(str(value))}" for key, value in settings.items()]


def _variable(key: str) -> str:
    """Name of a setting's variable. Nannies prefer their environment to their settings."""
    if key.startswith(_ENVIRON):
        return key.removeprefix(_ENVIRON)
    return "DASK_" + key.replace(".", "__").replace("-", "_").upper()
