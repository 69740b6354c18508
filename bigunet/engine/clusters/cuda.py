"""Clusters of one worker for each GPU of this host, by dask-cuda."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from distributed import Client

from bigunet.errors import ClusterError
from bigunet.extras import how_to_add
from bigunet.machine.gpus import DRIVER_FILES, Gpu, has_driver_without_pynvml, visible_gpus

INSTALL = f"{how_to_add('cuda13')} (or cuda12)"


def gpus_for(workers: int | None) -> tuple[Gpu, ...]:
    """One GPU for each worker.

    Parameters
    ----------
    workers : int or None
        None takes all visible GPUs.

    Raises
    ------
    ClusterError
        If there are fewer GPUs than workers, or none.
    """
    gpus = visible_gpus()
    if not gpus:
        chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
        why = "" if chosen is None else f" with CUDA_VISIBLE_DEVICES={chosen!r}"
        raise ClusterError(f"no GPU can be used here{why}: try --cluster local")
    if workers is not None and workers > len(gpus):
        raise ClusterError(
            f"{workers} workers, but {len(gpus)} GPU(s): each worker needs its own; give "
            f"--workers {len(gpus)} at most, or --cluster local"
        )
    return gpus[:workers]


def gpu_bytes_of(client: Client) -> tuple[int, ...]:
    """Memory of each worker's GPU, in bytes; 0 for a worker without a GPU."""
    by_worker: dict[str, int] = client.run(_first_gpu_bytes, on_error="ignore")
    return tuple(by_worker.values())


def cuda_cluster_class() -> Any:
    """The cluster class of dask-cuda, which starts one worker per GPU.

    Raises
    ------
    ClusterError
        If dask-cuda is not installed.
    """
    try:
        from dask_cuda import LocalCUDACluster
    except ImportError as error:
        raise ClusterError(f"--cluster cuda needs dask-cuda: {INSTALL}") from error
    return LocalCUDACluster


def why_no_cuda_cluster(driver_files: Sequence[Path] = DRIVER_FILES) -> str:
    """What is missing for a cluster of one worker per GPU; empty if nothing is missing."""
    gpus = visible_gpus()
    if not gpus and not has_driver_without_pynvml(driver_files):
        return "no GPU is here"
    try:
        cuda_cluster_class()
    except ClusterError:
        return f"a GPU is here, but dask-cuda, which gives each worker its own, is not: {INSTALL}"
    return "" if gpus else "no GPU can be used here"


def auto_kind(unusable: str = "") -> tuple[Literal["local", "cuda"], str]:
    """The kind of cluster that ``auto`` stands for on this host.

    Parameters
    ----------
    unusable : str
        Why the caller cannot use GPUs; empty if it can.

    Returns
    -------
    kind : {"local", "cuda"}
    idle : str
        Why GPUs that are here stay idle; empty if none does.
    """
    missing = why_no_cuda_cluster()
    if not missing and unusable:
        missing = f"a GPU is here, but {unusable}"
    return "local" if missing else "cuda", missing if missing.startswith("a GPU") else ""


def _first_gpu_bytes() -> int:
    return next((gpu.memory_bytes for gpu in visible_gpus()), 0)
