"""How a worker computes: its device, its precision, and its share of the cores of a host."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from bigunet.machine.cores import cores
from bigunet.machine.overlaps import Overlapping
from bigunet.model.inference.forward import Predictor
from bigunet.model.inference.hardware import device_of
from bigunet.model.inference.inputs import GreyRange
from bigunet.model.inference.like_cpu import check_like_cpu
from bigunet.model.model import Model
from bigunet.options.choices import BackendChoice, DeviceChoice, Precision


@dataclass(frozen=True)
class DeviceChoices:
    """The choices of the options, which the worker that computes resolves.

    Parameters
    ----------
    device : {"auto", "cpu", "cuda", "mps"}
    backend : {"auto", "torch", "compile", "openvino"}
    precision : {"fp32", "bf16", "fp16"}
    workers_per_host : int
        Workers of a host, which share its cores evenly.
    convolution : str
        How convolutions are computed; ``auto`` is direct.
    slab : int
        Planes of a tile that the network takes at a time; 0 to take each tile at once.
    """

    device: DeviceChoice
    backend: BackendChoice
    precision: Precision
    workers_per_host: int = 1
    convolution: str = "direct"
    slab: int = 0

    def resolved_device(self) -> str:
        """The device of the process that calls this."""
        return device_of(self.device)

    def take_cores(self) -> int:
        """Let forward passes of this thread use the worker's share of the cores; its size."""
        # Dask's nanny sets one thread for all libraries, and OpenMP has a number for each thread.
        threads = max(1, cores() // self.workers_per_host)
        torch.set_num_threads(threads)
        return threads

    def predictor(self, model: Model, grey_range: GreyRange) -> Predictor:
        """Load the model on the device of this process.

        Raises
        ------
        OptionError
            If there is no such device, or it computes other scores than the CPU.
        """
        predictor = Predictor(
            model,
            grey_range,
            device=self.resolved_device(),
            precision=self.precision,
            backend=self.backend,
            threads=self.take_cores(),
            convolution=self.convolution,
            slab=self.slab,
        )
        if predictor.device.type == "mps":
            check_like_cpu(predictor, model, grey_range)
        return predictor


@contextlib.contextmanager
def _torch_kept() -> Iterator[None]:
    # Each thread has its own number; threads that begin later start with that of this thread.
    threads = torch.get_num_threads()
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    flags = (matmul.allow_tf32, cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        matmul.allow_tf32, cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark = flags


# Workers in threads change settings of torch for the whole process; this gives the caller's back.
torch_as_before = Overlapping(_torch_kept)
