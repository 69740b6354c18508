"""Which GPUs there are, and how much memory each has; asks NVIDIA's NVML, not torch or CUDA.

NVML knows of containers and of MIG, and asking it takes no memory of a device.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from distributed import Client

from bigunet.errors import ClusterError

_DRIVERS = (Path("/dev/nvidiactl"), Path("/dev/dxg"))
INSTALL = "pip install 'bigunet[cuda13]' (or cuda12)"


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU, or an instance of one that MIG cuts into several.

    Parameters
    ----------
    name : str
        As ``CUDA_VISIBLE_DEVICES`` has it: number or UUID.
    memory_bytes : int
        Its own, in use or not; 0 where it shares the host's.
    """

    name: str
    memory_bytes: int


def visible_gpus() -> tuple[Gpu, ...]:
    """Those that this process may use, in order; none without NVIDIA's driver and pynvml.

    MIG shows a process one instance only; here are all, as each worker can have its own.
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


def gpus_for(workers: int | None) -> tuple[Gpu, ...]:
    """One GPU for each worker; for None, all that are visible.

    Raises
    ------
    ClusterError
        If there are fewer.
    """
    found = visible_gpus()
    if not found:
        chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
        why = "" if chosen is None else f" with CUDA_VISIBLE_DEVICES={chosen!r}"
        raise ClusterError(f"no GPU can be used here{why}: try --cluster local")
    if workers is not None and workers > len(found):
        raise ClusterError(
            f"{workers} workers, but {len(found)} GPU(s): each worker needs its own; give "
            f"--workers {len(found)} at most, or --cluster local"
        )
    return found[:workers]


def gpu_bytes_of(client: Client) -> tuple[int, ...]:
    """Memory of the GPU that each worker would compute on, in bytes; 0 for one that has none."""
    found: dict[str, Any] = client.run(_first_bytes, on_error="ignore")
    return tuple(found.values())


def cuda_cluster_class() -> Any:
    """dask-cuda's cluster of one worker per GPU.

    Raises
    ------
    ClusterError
        If it is not installed.
    """
    try:
        from dask_cuda import LocalCUDACluster
    except ImportError as error:
        raise ClusterError(f"--cluster cuda needs dask-cuda: {INSTALL}") from error
    return LocalCUDACluster


def why_no_cuda_cluster() -> str:
    """What is missing for a cluster of one worker per GPU; empty where it can be started."""
    found = visible_gpus()
    if not found and not _driver_alone():
        return "no GPU is here"
    try:
        cuda_cluster_class()
    except ClusterError:
        return f"a GPU is here, but dask-cuda, which gives each worker its own, is not: {INSTALL}"
    return "" if found else "no GPU can be used here"


def auto_kind(unusable: str = "") -> tuple[Literal["local", "cuda"], str]:
    """What the kind ``auto`` stands for here, and why if GPUs are left idle.

    Parameters
    ----------
    unusable : str
        What the caller knows to keep GPUs from use; empty for nothing.
    """
    missing = why_no_cuda_cluster()
    if not missing and unusable:
        missing = f"a GPU is here, but {unusable}"
    return "local" if missing else "cuda", missing if missing.startswith("a GPU") else ""


def _driver_alone() -> bool:
    """Whether NVIDIA's driver is here, and no pynvml to ask it, which comes with dask-cuda."""
    try:
        import pynvml  # noqa: F401
    except ImportError:
        return any(path.exists() for path in _DRIVERS)
    return False


def _first_bytes() -> int:
    return next((gpu.memory_bytes for gpu in visible_gpus()), 0)


class _Nvml:
    """Devices as CUDA would show them, told by pynvml once it is initialised."""

    def __init__(self, pynvml: Any) -> None:
        self._nvml = pynvml

    def visible(self, chosen: str | None) -> tuple[Gpu, ...]:
        """The GPUs of a value of ``CUDA_VISIBLE_DEVICES``; None is one that is not set."""
        handles = list(self._all() if chosen is None else self._chosen(chosen))
        # Numbers and UUIDs do not go together.
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
                return  # As CUDA does: what follows one that is not there is not seen.
            yield from list(self._parts(handle))[:1]

    def _parts(self, handle: Any) -> Iterator[Any]:
        """The MIG instances of a device, or the device itself."""
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
