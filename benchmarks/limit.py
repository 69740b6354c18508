"""Measure the limits of this machine: matrix products, copies, reading and writing a disk.

    python benchmarks/limit.py FOLDER [--device cuda]

The script prints JSON. No network can take less time than its operations divided by the peak rate
of matrix products in its precision. FOLDER lies on the disk that is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def seconds(task: Callable[[], object], *, repeats: int) -> float:
    """The median time of a task in seconds, after one run that does not count."""
    task()
    taken = []
    for _ in range(repeats):
        begun = time.perf_counter()
        task()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


def matrix_product(precision: str, size: int, repeats: int, device: str = "cpu") -> float:
    """Operations per second of a square matrix product; multiply and add are two."""
    a, b = (torch.rand(size, size, device=device).to(DTYPES[precision]) for _ in range(2))
    return 2 * size**3 / seconds(lambda: settled(a @ b), repeats=repeats)


def settled(tensor: torch.Tensor) -> torch.Tensor:
    """Wait until the device has computed the tensor."""
    if tensor.is_cuda:
        torch.cuda.synchronize()
    return tensor


def copying(megabytes: int, repeats: int, device: str = "cpu") -> float:
    """Bytes per second that a copy between two large arrays reads and writes, on all threads."""
    source = torch.ones(megabytes * 250_000, device=device)
    target = torch.empty_like(source)
    return 2 * source.nbytes / seconds(lambda: settled(target.copy_(source)), repeats=repeats)


def sending(megabytes: int, repeats: int) -> float:
    """Bytes per second that go from pinned memory of the host to a GPU."""
    source = torch.ones(megabytes * 250_000).pin_memory()
    target = torch.empty_like(source, device="cuda")
    return source.nbytes / seconds(lambda: settled(target.copy_(source)), repeats=repeats)


def disk(folder: Path, megabytes: int, repeats: int) -> dict[str, float]:
    """Bytes per second to and from the disk; the cache is dropped where the system allows it."""
    path = folder / "limit.bin"
    data = np.random.default_rng(0).bytes(1_000_000)

    def write() -> None:
        with path.open("wb") as file:
            for _ in range(megabytes):
                file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def read() -> None:
        with path.open("rb") as file:
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            while file.read(1_000_000):
                pass

    try:
        writing = seconds(write, repeats=repeats)
        reading = seconds(read, repeats=repeats)
    finally:
        path.unlink(missing_ok=True)
    size = megabytes * len(data)
    return {"disk_write": size / writing, "disk_read": size / reading}


def cpu_model() -> str:
    """The name of the processor, and its instruction sets that matter to a network."""
    path = Path("/proc/cpuinfo")
    text = path.read_text() if path.is_file() else ""
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    fields = {name.strip(): value.strip() for name, value in fields.items()}
    flags = fields.get("flags", "").split()
    named = [f for f in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if f in flags]
    return f"{fields.get('model name', 'unknown')} ({', '.join(named)})"


def device_name(device: str) -> str:
    """The name of the processor or GPU that computes."""
    return cpu_model() if device == "cpu" else torch.cuda.get_device_name(device)


def measure(
    folder: Path, *, size: int, megabytes: int, repeats: int, device: str = "cpu"
) -> dict[str, Any]:
    """All figures, per second."""
    gpu = {} if device == "cpu" else {"send_bytes": sending(megabytes, repeats)}
    return {
        "device": device_name(device),
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "threads": torch.get_num_threads(),
        "flops": {name: matrix_product(name, size, repeats, device) for name in ("fp32", "bf16")},
        "copy_bytes": copying(megabytes, repeats, device),
        **gpu,
        **disk(folder, megabytes, repeats),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=int, default=4096, help="of the matrices")
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    figures = measure(
        arguments.folder,
        size=arguments.size,
        megabytes=arguments.megabytes,
        repeats=arguments.repeats,
        device=arguments.device,
    )
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
