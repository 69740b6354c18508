"""The module that computes a model's scores in a precision: its own, or its numbers of 8 bits."""

from __future__ import annotations

import torch
from torch import nn

from bigunet.errors import ModelError, OptionError
from bigunet.model.copying import copied
from bigunet.model.inference.folding import fold_batch_norm
from bigunet.model.inference.openvino_module import has_openvino
from bigunet.model.inference.turning import Turning
from bigunet.model.int8.int8_unet import Int8UNet
from bigunet.model.model import Model
from bigunet.model.networks.unet import UNet
from bigunet.options.choices import BackendChoice, Precision


def in_precision(model: Model, precision: Precision, *, device: str) -> nn.Module:
    """A module for inference, on the CPU.

    Raises
    ------
    ModelError
        If the precision is int8 and the model was not quantised.
    OptionError
        If the precision is int8 and the device is no CPU.
    """
    if precision != "int8":
        return fold_batch_norm(model.module)
    if device != "cpu":
        raise OptionError(f"int8 runs on CPUs, not on {device}: give --device cpu")
    is_turned = isinstance(model.module, Turning)
    network = model.module.module if is_turned else model.module
    check_quantised(model)
    assert isinstance(network, UNet)
    assert model.int8 is not None
    int8 = Int8UNet(network.config, model.int8).eval()
    if not is_turned:
        return int8
    turning = copied(model.module)
    turning.module = int8
    return turning


def takes_int8(model: Model, *, device: str, backend: BackendChoice) -> bool:
    """Whether ``auto`` takes int8: the model allows it, and it is the fastest precision here.

    With OpenVINO, int8 was faster than bf16 and fp32 on each kind of CPU that was measured: AVX2
    alone, and AVX512 with VNNI. CPUs with AMX were not measured.
    """
    if model.int8 is None or "int8" not in model.description.precisions or device != "cpu":
        return False
    if backend not in ("auto", "openvino") or not has_openvino():
        return False
    amx = bool(getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)())
    return torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512") and not amx


def check_quantised(model: Model) -> None:
    """Raise ModelError if a model has no numbers of 8 bits."""
    if model.int8 is None:
        name = model.description.name
        raise ModelError(
            f"{name} has no numbers of 8 bits: bigunet quantise MODEL IMAGES makes them, for "
            "U-Nets of bigunet; or give another --precision"
        )
