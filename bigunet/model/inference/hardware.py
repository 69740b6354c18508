"""The lower precision that a device computes natively, and therefore faster than fp32."""

from __future__ import annotations

import torch

from bigunet.options.choices import Precision


def native_precision(device: str) -> Precision:
    """The fastest precision on a device, among those that models may allow.

    Parameters
    ----------
    device : str
        The device's name in torch.

    Returns
    -------
    {"fp32", "bf16"}
        bf16 on GPUs from Ampere on, and on CPUs with instructions for it (AVX512-BF16 or AMX).
        Other devices imitate bf16, which is slower than fp32.
    """
    if torch.device(device).type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if _cpu_multiplies_bf16() else "fp32"


def _cpu_multiplies_bf16() -> bool:
    # These functions are private in torch, and missing on some systems.
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, name, lambda: False)()) for name in checks)
