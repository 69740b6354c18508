"""Which device this process has, and the lower precision that it computes natively."""

from __future__ import annotations

import torch

from bigunet.errors import OptionError
from bigunet.options.choices import DeviceChoice, Precision

_NO_NVIDIA = "device cuda: torch sees no GPU on this worker; give --device cpu"
_NO_APPLE = "device mps: torch sees no Apple GPU on this worker; give --device cpu"


def device_of(choice: DeviceChoice) -> str:
    """The device that this process computes on: a GPU of NVIDIA, one of Apple, or the CPU.

    Parameters
    ----------
    choice : {"auto", "cpu", "cuda", "mps"}
        ``auto`` takes a GPU if there is one.

    Raises
    ------
    OptionError
        If torch sees no such GPU.
    """
    if choice == "auto":
        return next(device for device in ("cuda", "mps", "cpu") if has_device(device))
    if not has_device(choice):
        raise OptionError(_NO_NVIDIA if choice == "cuda" else _NO_APPLE)
    return choice


def has_device(device: str) -> bool:
    """Whether torch can compute on a kind of device here: ``cpu``, ``cuda`` or ``mps``."""
    if device == "cuda":
        return torch.cuda.is_available()
    return device == "cpu" or torch.backends.mps.is_available()


def native_precision(device: str) -> Precision:
    """The fastest precision on a device, among those that models may allow.

    Parameters
    ----------
    device : str
        The device's name in torch.

    Returns
    -------
    {"fp32", "bf16"}
        bf16 on GPUs of NVIDIA from Ampere on, and on CPUs with instructions for it (AVX512-BF16 or
        AMX). Others imitate bf16, which is slower than fp32. GPUs of Apple were not measured: fp32.
    """
    if torch.device(device).type == "mps":
        return "fp32"
    if torch.device(device).type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if _cpu_multiplies_bf16() else "fp32"


def _cpu_multiplies_bf16() -> bool:
    # These functions are private in torch, and missing on some systems.
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, name, lambda: False)()) for name in checks)
