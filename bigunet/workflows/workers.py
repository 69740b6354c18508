"""Which workers a run gets, and what memory each has for a forward pass, before any is started."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TypeAlias

import torch
from distributed import Client

from bigunet.engine.clusters.client import open_client
from bigunet.engine.clusters.cuda import auto_kind, gpu_bytes_of, visible_gpus
from bigunet.engine.clusters.spec import ClusterKind, ClusterSpec
from bigunet.errors import ClusterError
from bigunet.workflows.options import DeviceChoice

logger = logging.getLogger(__name__)

Workers: TypeAlias = Client | ClusterSpec | None
_NO_CUDA = (
    "this torch ({version}) is built for CPUs alone: install one with CUDA "
    "(https://pytorch.org/get-started)"
)


def settled(workers: Workers, device: DeviceChoice) -> Workers:
    """The workers, with ``auto`` resolved: GPUs where torch could compute on them.

    Raises
    ------
    ClusterError
        If GPUs are asked for, and torch cannot use any.
    """
    spec = ClusterSpec() if workers is None else workers
    if not isinstance(spec, ClusterSpec) or spec.scheduler is not None:
        return spec
    if spec.kind == "cuda" and device != "cpu" and not _torch_has_cuda():
        raise ClusterError(f"--cluster cuda: {_no_cuda()}, or give --device cpu")
    return replace(spec, kind=_kind(device)) if spec.kind == "auto" else spec


def gpu_bytes(workers: Workers, device: DeviceChoice) -> tuple[int, ...]:
    """Memory of the GPU that each worker will compute on, in bytes; 0 for one that has none.

    Empty where none is known to have one, as before the jobs of a batch system run.

    Parameters
    ----------
    workers : Client, ClusterSpec or None
        As `settled`.
    device : {"auto", "cpu", "cuda"}
    """
    if device == "cpu" or not _torch_has_cuda():
        return ()
    if isinstance(workers, Client):
        return _known(gpu_bytes_of(workers))
    if not isinstance(workers, ClusterSpec):
        return ()
    if workers.scheduler is not None:
        with open_client(workers) as client:
            return _known(gpu_bytes_of(client))
    found = tuple(gpu.memory_bytes for gpu in visible_gpus())
    if workers.kind == "cuda":
        return _known(found[: workers.workers])
    if workers.kind == "local":
        # All on the first one.
        return _known(tuple(n // (workers.workers or 1) for n in found[:1]))
    return ()


def _known(found: tuple[int, ...]) -> tuple[int, ...]:
    return found if any(found) else ()


def _kind(device: DeviceChoice) -> ClusterKind:
    if device == "cpu":
        return "local"
    kind, idle = auto_kind("" if _torch_has_cuda() else _no_cuda())
    if idle:
        logger.warning("%s", idle)
    return kind


def _no_cuda() -> str:
    return _NO_CUDA.format(version=torch.__version__)


def _torch_has_cuda() -> bool:
    """Of torch's build; asked nothing of a GPU, which would take some of its memory."""
    return torch.version.cuda is not None
