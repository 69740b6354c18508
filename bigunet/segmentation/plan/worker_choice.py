"""Which workers a run gets, and what memory they have, before any is started."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
from distributed import Client

from bigunet.engine.clusters.client import open_client, workers_per_host
from bigunet.engine.clusters.cuda import auto_kind, gpu_bytes_of
from bigunet.engine.clusters.job_memory import memory_limit_of
from bigunet.engine.clusters.job_options import job_memory_bytes
from bigunet.engine.clusters.spec import BATCH_KINDS, ClusterSpec
from bigunet.errors import ClusterError
from bigunet.io.images.multiscale import ImageDescription
from bigunet.machine.gpus import visible_gpus
from bigunet.machine.memory import host_memory_bytes
from bigunet.options.choices import ClusterKind, DeviceChoice
from bigunet.segmentation.plan.region import region_in_voxels
from bigunet.segmentation.segment_options import SegmentOptions

logger = logging.getLogger(__name__)

WorkerChoice: TypeAlias = Client | ClusterSpec | None
"""Workers that are there, or those to start; None for the default ones."""

# To start a process takes 5 s of two cores. In this time they segment about 5 million voxels. From
# this size on, that is little, and a process can be started anew if memory ends. The demo is below.
_FEW_VOXELS = 32_000_000
# A scheduler answers within this time when it is asked for the GPUs of its workers.
_ANSWER_SECONDS = 5.0
_NO_CUDA = (
    "this torch ({version}) is built for CPUs alone: install one with CUDA "
    "(https://pytorch.org/get-started)"
)


@dataclass(frozen=True, slots=True)
class WorkerMemory:
    """Memory of the workers of one machine.

    Parameters
    ----------
    workers : int
        Workers that share the memory of the machine, or of a job of a batch system.
    limit_bytes : int
        Memory that they may take together; 0 if it is not known.
    gpu_bytes : tuple of int
        Memory of the GPU of each worker; empty without GPUs.
    machine_bytes : int
        Memory of the machine; 0 if the workers have what this process may use.
    """

    workers: int
    limit_bytes: int
    gpu_bytes: tuple[int, ...]
    machine_bytes: int = 0

    @classmethod
    def of(cls, workers: WorkerChoice, device: DeviceChoice) -> WorkerMemory:
        """The memory of workers that compute on a device."""
        return cls(
            _num_sharing(workers),
            job_limit_bytes(workers),
            gpu_bytes(workers, device),
            host_memory_bytes() if _run_elsewhere(workers) else 0,
        )


def _run_elsewhere(workers: WorkerChoice) -> bool:
    """Whether the workers may be on other hosts, where the limits of this process do not hold."""
    if not isinstance(workers, ClusterSpec):
        return workers is not None
    return workers.scheduler is not None or workers.kind in BATCH_KINDS


def settled(workers: WorkerChoice, device: DeviceChoice, voxels: float = math.inf) -> WorkerChoice:
    """The workers, with ``auto`` resolved: threads for a small image, GPUs that torch can use.

    Parameters
    ----------
    workers : Client, ClusterSpec or None
    device : {"auto", "cpu", "cuda", "mps"}
    voxels : float
        Voxels that will be segmented.

    Raises
    ------
    ClusterError
        If GPUs are asked for, and torch cannot use any.
    """
    spec = ClusterSpec() if workers is None else workers
    if not isinstance(spec, ClusterSpec) or spec.scheduler is not None:
        return spec
    if spec.kind == "cuda" and device == "mps":
        raise ClusterError("--cluster cuda has no Apple GPU: leave it out, or leave --device out")
    if spec.kind == "cuda" and device != "cpu" and not _torch_has_cuda():
        raise ClusterError(f"--cluster cuda: {_no_cuda()}, or give --device cpu")
    if spec.kind != "auto":
        return spec
    return replace(spec, kind="threads" if _fit_threads(spec, voxels) else _kind(device))


def starts_processes(voxels: float) -> bool:
    """Whether the workers of an image of so many voxels are processes, if nobody says otherwise."""
    return voxels >= _FEW_VOXELS


def voxels_of(image: ImageDescription, options: SegmentOptions) -> int:
    """Number of voxels of an image that the options ask for."""
    # Level ``auto`` is not chosen yet; no level is larger than the first.
    level = options.level if isinstance(options.level, int) else 0
    roi = region_in_voxels(image, level, options.roi)
    ends = (
        roi.get(axis, (0, size)) for axis, size in zip(image.volume_axes, image.volume_shape(level))
    )
    return math.prod(stop - start for start, stop in ends)


def job_limit_bytes(workers: WorkerChoice) -> int:
    """Memory that bigunet may take in each job of a batch system; 0 for other workers."""
    known = job_memory_bytes(workers) if isinstance(workers, ClusterSpec) else 0
    return memory_limit_of(known) if known else 0


def gpu_bytes(workers: WorkerChoice, device: DeviceChoice) -> tuple[int, ...]:
    """Memory of the GPU that each worker will compute on, in bytes; 0 for a worker without one.

    Empty if no worker is known to have a GPU, for example before the jobs of a batch system run.

    Parameters
    ----------
    workers : Client, ClusterSpec or None
        As `settled` returns them.
    device : {"auto", "cpu", "cuda", "mps"}
    """
    # An Apple GPU has no memory of its own: passes take that of the worker.
    if device in ("cpu", "mps") or not _torch_has_cuda():
        return ()
    if isinstance(workers, Client):
        return _some(gpu_bytes_of(workers))
    if not isinstance(workers, ClusterSpec):
        return ()
    if workers.scheduler is not None:
        return _gpu_bytes_behind(workers)
    gpus = tuple(gpu.memory_bytes for gpu in visible_gpus())
    if workers.kind == "cuda":
        return _some(gpus[: workers.workers])
    if workers.kind in ("local", "threads"):
        # All workers share the first GPU.
        return _some(tuple(n // (workers.workers or 1) for n in gpus[:1]))
    return ()


def _gpu_bytes_behind(workers: ClusterSpec) -> tuple[int, ...]:
    """Memory of the GPUs behind a scheduler.

    A scheduler that does not answer is no error here: a finished output needs no workers, and a
    place that cannot be written is refused first. A run that needs workers connects again.
    """
    try:
        with open_client(workers, connect_seconds=_ANSWER_SECONDS) as client:
            return _some(gpu_bytes_of(client))
    except ClusterError:
        return ()


def _some(gpus: tuple[int, ...]) -> tuple[int, ...]:
    """The memory of each GPU; empty if no worker has one."""
    return gpus if any(gpus) else ()


def _num_sharing(workers: WorkerChoice) -> int:
    """Workers that share the memory of a machine; 1 for a cluster that is not connected yet."""
    if isinstance(workers, Client):
        return workers_per_host(workers)
    return workers.workers_per_machine if isinstance(workers, ClusterSpec) else 1


def _fit_threads(spec: ClusterSpec, voxels: float) -> bool:
    """Whether one worker in this process may do a run that is short."""
    accepts_others = spec.host or spec.interface
    return not starts_processes(voxels) and spec.workers in (None, 1) and not accepts_others


def _kind(device: DeviceChoice) -> ClusterKind:
    if device in ("cpu", "mps"):
        return "local"
    kind, idle = auto_kind("" if _torch_has_cuda() else _no_cuda())
    if idle:
        logger.warning("%s", idle)
    return kind


def _no_cuda() -> str:
    return _NO_CUDA.format(version=torch.__version__)


def _torch_has_cuda() -> bool:
    """Whether torch is built for GPUs. A question to a GPU itself would take some of its memory."""
    return torch.version.cuda is not None
