"""How a worker computes: on what, in which precision, and sharing a host's cores with whom."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from bigunet.choices import BackendChoice, DeviceChoice, Precision
from bigunet.errors import OptionError
from bigunet.machine.cores import cores
from bigunet.machine.overlaps import Overlapping
from bigunet.model.inference.forward import Predictor
from bigunet.model.inference.inputs import GreyRange
from bigunet.model.model import Model


@dataclass(frozen=True)
class DeviceChoices:
    """What was asked for, resolved on the worker that computes.

    Parameters
    ----------
    device : {"auto", "cpu", "cuda"}
    backend : {"auto", "torch", "compile", "openvino"}
    precision : {"fp32", "bf16", "fp16"}
    workers_per_host : int
        Who share its cores evenly.
    """

    device: DeviceChoice
    backend: BackendChoice
    precision: Precision
    workers_per_host: int = 1

    def resolved_device(self) -> str:
        """The device of the process that asks."""
        if self.device == "cuda" and not torch.cuda.is_available():
            raise OptionError("device cuda: torch sees no GPU on this worker; give --device cpu")
        if self.device != "auto":
            return self.device
        return "cuda" if torch.cuda.is_available() else "cpu"

    def take_cores(self) -> int:
        """Let this thread's forward passes use the worker's share of the cores; how many."""
        # The nanny sets one thread for all libraries, and OpenMP keeps the number per thread.
        threads = max(1, cores() // self.workers_per_host)
        torch.set_num_threads(threads)
        return threads

    def predictor(self, model: Model, grey_range: GreyRange) -> Predictor:
        """The model made ready on this process's device."""
        return Predictor(
            model,
            grey_range,
            device=self.resolved_device(),
            precision=self.precision,
            backend=self.backend,
            threads=self.take_cores(),
        )


@contextlib.contextmanager
def _torch_kept() -> Iterator[None]:
    # The number of threads is that of each thread, and what threads that begin later start with.
    threads = torch.get_num_threads()
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    flags = (matmul.allow_tf32, cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        matmul.allow_tf32, cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark = flags


# Leave torch, which workers in threads set for all of the process, as the caller has it.
torch_as_before = Overlapping(_torch_kept)
