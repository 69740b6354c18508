"""What computes a network's forward pass: torch, its compiler, or OpenVINO."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast, get_args

import torch
from torch import nn

from bigunet.choices import Backend, BackendChoice
from bigunet.errors import OptionError
from bigunet.model.copying import copied
from bigunet.model.inference.openvino_module import (
    OPENVINO_PRECISIONS,
    OpenVinoModule,
    has_openvino,
)
from bigunet.model.inference.turning import Turning
from bigunet.model.networks.network import Network


def choose_backend(
    choice: BackendChoice, module: nn.Module, *, device: str, precision: str
) -> Backend:
    """The backend that runs a module on a device.

    ``auto`` is OpenVINO for bigunet's own networks on a CPU, where it is installed and has the
    precision: a module of somebody else's may do what its trace does not show.

    Raises
    ------
    OptionError
        If OpenVINO is asked for and cannot be had.
    """
    if choice not in get_args(BackendChoice):
        raise OptionError(f"backend {choice!r}; known: {', '.join(get_args(BackendChoice))}")
    on_cpu = device == "cpu"
    if choice == "openvino":
        if not on_cpu:
            raise OptionError(f"OpenVINO runs on the CPU here, not on {device}: --backend torch")
        if not has_openvino():
            raise OptionError("--backend openvino needs OpenVINO: pip install 'bigunet[openvino]'")
    if choice != "auto":
        return choice
    fit = on_cpu and precision in OPENVINO_PRECISIONS and isinstance(passed(module), Network)
    return "openvino" if fit and has_openvino() else "torch"


def passed(module: nn.Module) -> nn.Module:
    """The network itself, of a module that passes its tiles through one several times."""
    return module.module if isinstance(module, Turning) else module


def with_backend(
    module: nn.Module,
    backend: Backend,
    *,
    sample_shape: Sequence[int],
    in_channels: int,
    precision: str,
    threads: int,
) -> nn.Module:
    """A module with its network replaced by one that the backend computes.

    Parameters
    ----------
    module : torch.nn.Module
        On its device; for OpenVINO the CPU, in fp32.
    sample_shape : sequence of int
        Spatial shape that the module accepts.
    threads : int
        Cores that one pass of OpenVINO uses; torch has a setting of its own.
    """
    if backend == "torch":
        return module
    network = passed(module)
    if backend == "compile":
        # One graph for each shape: tiles of a run have few, and dynamic shapes are slower.
        run = cast(nn.Module, torch.compile(network, dynamic=False))
    else:
        run = OpenVinoModule(
            network,
            in_channels=in_channels,
            sample_shape=_shape_passed(module, sample_shape),
            precision=precision,
            threads=threads,
        )
    if not isinstance(module, Turning):
        return run
    turning = copied(module)
    turning.module = run
    return turning


def _shape_passed(module: nn.Module, shape: Sequence[int]) -> tuple[int, ...]:
    return module.input_shape(shape) if isinstance(module, Turning) else tuple(shape)
