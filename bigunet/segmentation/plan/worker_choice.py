"""Which workers a run gets, and what memory each has for a forward pass, before any is started."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from typing import TypeAlias

import torch
from distributed import Client

from bigunet.choices import ClusterKind, DeviceChoice
from bigunet.engine.clusters.client import open_client
from bigunet.engine.clusters.cuda import auto_kind, gpu_bytes_of
from bigunet.engine.clusters.spec import ClusterSpec
from bigunet.errors import ClusterError
from bigunet.io.images.multiscale import Multiscale
from bigunet.machine.gpus import visible_gpus
from bigunet.segmentation.segment_options import SegmentOptions

logger = logging.getLogger(__name__)

Workers: TypeAlias = Client | ClusterSpec | None
# A process takes 5 s of two cores to start, in which they segment some 5 million voxels; with more
# than this the program that calls is better left alone.
_FEW_VOXELS = 16_000_000
_NO_CUDA = (
    "this torch ({version}) is built for CPUs alone: install one with CUDA "
    "(https://pytorch.org/get-started)"
)


def settled(workers: Workers, device: DeviceChoice, voxels: float = math.inf) -> Workers:
    """The workers, with ``auto`` resolved: threads for few voxels, or GPUs that torch could use.

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
    if spec.kind != "auto":
        return spec
    return replace(spec, kind="threads" if _fit_threads(spec, voxels) else _kind(device))


def voxels_of(image: Multiscale, options: SegmentOptions) -> int:
    """How many voxels of an image the options ask for."""
    # The level is not chosen yet where it is ``auto``: no other is larger than the first.
    shape = image.volume_shape(options.level if isinstance(options.level, int) else 0)
    sides = (
        stop - start
        for start, stop in (
            options.roi.get(axis, (0, size)) for axis, size in zip(image.volume_axes, shape)
        )
    )
    return math.prod(sides)


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
    if workers.kind in ("local", "threads"):
        # All on the first one.
        return _known(tuple(n // (workers.workers or 1) for n in found[:1]))
    return ()


def _known(found: tuple[int, ...]) -> tuple[int, ...]:
    return found if any(found) else ()


def _fit_threads(spec: ClusterSpec, voxels: float) -> bool:
    """Whether one worker in this process is what was asked for, and is done soon."""
    lets_others_in = spec.host or spec.interface
    return voxels < _FEW_VOXELS and spec.workers in (None, 1) and not lets_others_in


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
