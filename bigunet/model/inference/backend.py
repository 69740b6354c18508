"""The backend that computes a network's forward pass: torch, torch's compiler, or OpenVINO."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast, get_args

import torch
from torch import nn

from bigunet.errors import OptionError
from bigunet.extras import how_to_add
from bigunet.model.copying import copied
from bigunet.model.inference.openvino_module import (
    OPENVINO_PRECISIONS,
    OpenVinoModule,
    has_openvino,
)
from bigunet.model.inference.turning import Turning
from bigunet.model.networks.network import Network
from bigunet.options.choices import Backend, BackendChoice


def choose_backend(
    choice: BackendChoice, module: nn.Module, *, device: str, precision: str
) -> Backend:
    """The backend that runs a module on a device.

    ``auto`` is OpenVINO for bigunet's own networks on a CPU, if it is installed and supports the
    precision. For other modules it is torch, because a trace may not show all that they do.

    Raises
    ------
    OptionError
        If the choice is OpenVINO, and OpenVINO cannot run here.
    """
    if choice not in get_args(BackendChoice):
        raise OptionError(f"backend {choice!r}; known: {', '.join(get_args(BackendChoice))}")
    on_cpu = device == "cpu"
    if choice == "openvino":
        if not on_cpu:
            raise OptionError(f"OpenVINO runs on the CPU here, not on {device}: --backend torch")
        if not has_openvino():
            raise OptionError(f"--backend openvino needs OpenVINO: {how_to_add('openvino')}")
    if choice != "auto":
        return choice
    fits = on_cpu and precision in OPENVINO_PRECISIONS and isinstance(network_in(module), Network)
    return "openvino" if fits and has_openvino() else "torch"


def network_in(module: nn.Module) -> nn.Module:
    """The network inside a module that averages it over turns; else the module itself."""
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
    """The module with its network replaced by a network that the backend computes.

    Parameters
    ----------
    module : torch.nn.Module
        A module on its device; for OpenVINO on the CPU, in fp32.
    sample_shape : sequence of int
        A spatial shape that the module accepts.
    threads : int
        Number of cores for one pass of OpenVINO; torch has its own setting.
    """
    if backend == "torch":
        return module
    network = network_in(module)
    if backend == "compile":
        # One graph per shape: the tiles of a run have few shapes, and dynamic shapes are slower.
        run = cast(nn.Module, torch.compile(network, dynamic=False))
    else:
        run = OpenVinoModule(
            network,
            in_channels=in_channels,
            sample_shape=_shape_in(module, sample_shape),
            precision=precision,
            threads=threads,
        )
    if not isinstance(module, Turning):
        return run
    turning = copied(module)
    turning.module = run
    return turning


def _shape_in(module: nn.Module, shape: Sequence[int]) -> tuple[int, ...]:
    return module.input_shape(shape) if isinstance(module, Turning) else tuple(shape)
