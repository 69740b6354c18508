"""Dask's settings of the workers that are started here, wherever they run."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

# One thread computes, one reads the next block, one writes the last.
THREADS_PER_WORKER = 3
_ENVIRON = "distributed.nanny.pre-spawn-environ."
# Dask makes workers give freed memory back at once, which costs a network's forward pass as much
# again in page faults (0.22 s of system time on 0.27 s per 876² tile of a 16-wide U-Net, 0.01 s
# with these).
SETTINGS: dict[str, Any] = {
    "distributed.comm.timeouts.connect": "60s",
    f"{_ENVIRON}MALLOC_TRIM_THRESHOLD_": 4_000_000_000,
    f"{_ENVIRON}MALLOC_MMAP_THRESHOLD_": 4_000_000_000,
    # Dask's health checks, 50 and 100 a second, took 6 % of a core from two that compute.
    "distributed.admin.tick.interval": "500ms",
    "distributed.worker.profile.interval": "100ms",
    "distributed.worker.memory.monitor-interval": "500ms",
    # Ten minutes, not an hour: four megabytes per process that only fill slowly.
    "distributed.admin.system-monitor.log-length": 1200,
    # The numbers of GPUs that NVML has, not the fastest one first.
    f"{_ENVIRON}CUDA_DEVICE_ORDER": "PCI_BUS_ID",
    # What libraries warn of is for developers, and would tear the progress bar.
    f"{_ENVIRON}PYTHONWARNINGS": "ignore",
}


def exports(settings: Mapping[str, Any]) -> list[str]:
    """Settings as lines of a shell script, for workers that are started elsewhere.

    >>> exports({"distributed.comm.timeouts.connect": "60s"})
    ['export DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT=60s']
    """
    return [f"export {_variable(key)}={shlex.quote(str(value))}" for key, value in settings.items()]


def _variable(key: str) -> str:
    """Nannies pass on what their own environment has, before what they are told."""
    if key.startswith(_ENVIRON):
        return key.removeprefix(_ENVIRON)
    return "DASK_" + key.replace(".", "__").replace("-", "_").upper()
