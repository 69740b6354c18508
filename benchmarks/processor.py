"""Names of processors and GPUs, and the precisions in which each multiplies by itself.

A speed without the name of its processor says nothing. Results lie in a folder of that name.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

import torch

from bigunet.model.inference.hardware import native_precision

PrecisionName = Literal["fp32", "tf32", "bf16", "fp16", "int8"]
# Flags of /proc/cpuinfo that matter to a network, from the oldest to the newest.
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_int8", "amx_bf16")
_BF16, _FP16 = {"avx512_bf16", "amx_bf16"}, {"avx512_fp16", "amx_fp16"}
# The kinds of processors in the order of their speed: the flag, and what a table says.
_KINDS = (("amx_bf16", "AMX"), ("avx512_bf16", "AVX512-BF16"), ("avx512f", "AVX512"))
_LIMIT = "ONEDNN_MAX_CPU_ISA"


def cpu_flags(path: Path = Path("/proc/cpuinfo")) -> tuple[str, ...]:
    """The instruction sets of FLAGS that the processor has; none where the file is missing.

    If ``ONEDNN_MAX_CPU_ISA`` is AVX2, torch uses no newer ones, and they do not count.
    """
    known = _fields(path).get("flags", "").split()
    flags = tuple(flag for flag in (*FLAGS, "amx_fp16") if flag in known)
    return tuple(f for f in flags if f == "avx2") if limited_to_avx2() else flags


def limited_to_avx2() -> bool:
    """Whether the environment holds oneDNN, which multiplies for torch, to AVX2."""
    return os.environ.get(_LIMIT, "").upper() in ("AVX2", "AVX")


def cpu_model(path: Path = Path("/proc/cpuinfo")) -> str:
    """The name of the processor, and its instruction sets that matter to a network."""
    name = _fields(path).get("model name", "unknown")
    held = "; torch held to AVX2" if limited_to_avx2() else ""
    return f"{name} ({', '.join(cpu_flags(path))}{held})"


def device_name(device: str) -> str:
    """The name of the processor or GPU that computes."""
    return cpu_model() if device == "cpu" else torch.cuda.get_device_name(device)


def precisions(device: str, flags: tuple[str, ...] | None = None) -> tuple[PrecisionName, ...]:
    """The precisions in which a device multiplies natively, the most exact first.

    A CPU without instructions for bf16 or fp16 imitates them, and takes minutes for one product.
    """
    if torch.device(device).type == "cuda":
        return _gpu_precisions(torch.cuda.get_device_capability(device))
    has = set(cpu_flags() if flags is None else flags)
    native: list[PrecisionName] = ["fp32"]
    native += ["bf16"] if has & _BF16 else []
    native += ["fp16"] if has & _FP16 else []
    # Without VNNI, AVX2 multiplies 8-bit integers by other instructions, faster than fp32, too.
    return (*native, *(("int8",) if "avx2" in has else ()))  # type: ignore[return-value]


def usual_precision(device: str) -> str:
    """What bigunet takes by itself for a model that allows it; fp32 if torch is held to AVX2."""
    native = native_precision(device)
    return native if native in precisions(device) else "fp32"


def _gpu_precisions(capability: tuple[int, int]) -> tuple[PrecisionName, ...]:
    if capability >= (8, 0):
        return ("fp32", "tf32", "bf16", "fp16", "int8")
    return ("fp32", "fp16", "int8") if capability >= (7, 5) else ("fp32", "fp16")


def peak_precision(precision: str, device: str, flags: tuple[str, ...] | None = None) -> str:
    """The precision of the matrix products that limit a run in ``precision``.

    It is fp32 where the device imitates the precision of the run.
    """
    return precision if precision in precisions(device, flags) else "fp32"


def kind_of(name: str) -> str:
    """The kind of a processor or GPU, from the name that a result has.

    >>> kind_of("AMD EPYC (avx2, avx512f, avx512_bf16)")
    'AVX512-BF16'
    >>> kind_of("NVIDIA H200")
    'GPU'
    """
    if " (" not in name:
        return "GPU"
    flags = name.rpartition(" (")[2]
    return next((kind for flag, kind in _KINDS if flag in flags), "AVX2")


def folder_name(name: str) -> str:
    """The folder for the results of a processor or GPU.

    >>> folder_name("AMD EPYC (avx2, avx512f, avx512_bf16)")
    'amd-epyc-avx512-bf16'
    >>> folder_name("NVIDIA H100 80GB HBM3")
    'nvidia-h100-80gb-hbm3'
    """
    words = re.sub(r"\((R|TM)\)", "", name.partition(" (")[0])
    if kind_of(name) != "GPU":
        words += f" {kind_of(name)}" + (" held" if "held to" in name else "")
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")


def _fields(path: Path) -> dict[str, str]:
    text = path.read_text() if path.is_file() else ""
    pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {name.strip(): value.strip() for name, value in pairs}
