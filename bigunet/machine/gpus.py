"""Which GPUs this host has, and how much memory each has.

NVIDIA's library NVML answers, not torch or CUDA: it knows of containers and of MIG (one GPU that
is cut into several instances), and a question to it takes no memory of a GPU.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Files that NVIDIA's driver makes, on Linux and in Windows' Linux.
DRIVER_FILES = (Path("/dev/nvidiactl"), Path("/dev/dxg"))


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU, or a MIG instance of one.

    Parameters
    ----------
    name : str
        Number or UUID, as ``CUDA_VISIBLE_DEVICES`` takes it.
    memory_bytes : int
        All memory of the GPU, also what is in use; 0 where it shares the host's memory.
    """

    name: str
    memory_bytes: int


def visible_gpus() -> tuple[Gpu, ...]:
    """The GPUs that this process may use, in CUDA's order.

    There are none without NVIDIA's driver and the package pynvml. CUDA shows a process only one
    MIG instance. Here are all of them, because each worker can have its own.
    """
    try:
        import pynvml
    except ImportError:
        return ()
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    try:
        return _Nvml(pynvml).visible(os.environ.get("CUDA_VISIBLE_DEVICES"))
    except pynvml.NVMLError:
        return ()
    finally:
        pynvml.nvmlShutdown()


def has_driver_without_pynvml(driver_files: Sequence[Path] = DRIVER_FILES) -> bool:
    """Whether NVIDIA's driver is here, but not the package pynvml, so that nothing is known."""
    try:
        import pynvml  # noqa: F401
    except ImportError:
        return any(path.exists() for path in driver_files)
    return False


class _Nvml:
    """Asks NVML, which must be initialised, for the GPUs that CUDA would show."""

    def __init__(self, pynvml: Any) -> None:
        self._nvml = pynvml

    def visible(self, chosen: str | None) -> tuple[Gpu, ...]:
        """The GPUs for a value of ``CUDA_VISIBLE_DEVICES``; None if the variable is not set."""
        handles = list(self._all() if chosen is None else self._chosen(chosen))
        # CUDA does not take numbers and UUIDs together, and instances have no number.
        numbered = not any(map(self._is_instance, handles))
        return tuple(
            Gpu(
                str(self._nvml.nvmlDeviceGetIndex(handle))
                if numbered
                else str(self._nvml.nvmlDeviceGetUUID(handle)),
                self._memory_bytes(handle),
            )
            for handle in handles
        )

    def _all(self) -> Iterator[Any]:
        for number in range(self._nvml.nvmlDeviceGetCount()):
            yield from self._parts(self._nvml.nvmlDeviceGetHandleByIndex(number))

    def _chosen(self, chosen: str) -> Iterator[Any]:
        for name in map(str.strip, chosen.split(",")):
            try:
                if name.startswith(("GPU-", "MIG-")):
                    handle = self._nvml.nvmlDeviceGetHandleByUUID(name.encode())
                else:
                    handle = self._nvml.nvmlDeviceGetHandleByIndex(int(name))
            except (self._nvml.NVMLError, ValueError):
                return  # CUDA, too, ignores all names after one that does not exist.
            yield from list(self._parts(handle))[:1]

    def _parts(self, handle: Any) -> Iterator[Any]:
        """The MIG instances of a GPU, or the GPU itself."""
        if self._is_instance(handle) or not self._is_cut(handle):
            yield handle
            return
        for number in range(self._nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
            with contextlib.suppress(self._nvml.NVMLError):
                yield self._nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, number)

    def _is_cut(self, handle: Any) -> bool:
        try:
            return bool(self._nvml.nvmlDeviceGetMigMode(handle)[0])
        except self._nvml.NVMLError:
            return False

    def _is_instance(self, handle: Any) -> bool:
        try:
            return bool(self._nvml.nvmlDeviceIsMigDeviceHandle(handle))
        except self._nvml.NVMLError:
            return False

    def _memory_bytes(self, handle: Any) -> int:
        try:
            return int(self._nvml.nvmlDeviceGetMemoryInfo(handle).total)
        except self._nvml.NVMLError:
            return 0
