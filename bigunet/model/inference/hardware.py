"""Which lower precision this machine computes natively, so that it is faster than fp32."""

from __future__ import annotations

import torch

from bigunet.choices import Precision


def native_precision(device: str) -> Precision:
    """The precision that is fastest on a device, of those that models may allow.

    Parameters
    ----------
    device : str
        As torch names it.

    Returns
    -------
    {"fp32", "bf16"}
        bf16 on GPUs from Ampere on, and on CPUs with its instructions (AVX512-BF16 or AMX):
        without them it is imitated, and slower than fp32.
    """
    if torch.device(device).type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if _cpu_multiplies_bf16() else "fp32"


def _cpu_multiplies_bf16() -> bool:
    # Private in torch, and not there on all systems.
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, name, lambda: False)()) for name in checks)
