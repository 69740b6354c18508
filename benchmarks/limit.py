"""Measure the limits of this machine: matrix products, copies, reading and writing a disk.

    python benchmarks/limit.py FOLDER [--device cuda]

The script prints JSON. It multiplies only in the precisions that the device has, for a few seconds
each. A network with direct convolutions cannot take less time than its operations divided by the
peak rate of matrix products in its precision. FOLDER lies on the disk that is measured.
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
from peak import peaks, settled
from processor import cpu_model, device_name


def seconds(task: Callable[[], object], *, repeats: int) -> float:
    """The median time of a task in seconds, after one run that does not count."""
    task()
    taken = []
    for _ in range(repeats):
        begun = time.perf_counter()
        task()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


def copying(megabytes: int, repeats: int, device: str = "cpu") -> float:
    """Bytes per second that a copy between two large arrays reads and writes, on all threads."""
    source = torch.ones(megabytes * 250_000, device=device)
    target = torch.empty_like(source)
    return 2 * source.nbytes / seconds(lambda: settled(target.copy_(source)), repeats=repeats)


def transfers(megabytes: int, repeats: int) -> dict[str, float]:
    """Bytes per second between the host and a GPU, each way, through pageable and pinned memory."""
    rates = {}
    there = torch.ones(megabytes * 250_000, device="cuda")
    for kind in ("pageable", "pinned"):
        here = torch.ones(megabytes * 250_000, pin_memory=kind == "pinned")
        sent = seconds(lambda h=here: settled(there.copy_(h)), repeats=repeats)  # type: ignore[misc]
        fetched = seconds(lambda h=here: h.copy_(there), repeats=repeats)  # type: ignore[misc]
        rates[f"send_{kind}"] = here.nbytes / sent
        rates[f"fetch_{kind}"] = here.nbytes / fetched
    return rates


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


def measure(
    folder: Path,
    *,
    most: int | None = None,
    matrix_seconds: float = 4,
    megabytes: int,
    repeats: int,
    device: str = "cpu",
) -> dict[str, Any]:
    """All figures, per second; only the precisions that the device has stand under ``flops``."""
    gpu = {} if device == "cpu" else {"transfer_bytes": transfers(megabytes, repeats)}
    return {
        "device": device_name(device),
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "threads": torch.get_num_threads(),
        "flops": peaks(device, seconds=matrix_seconds, most=most),
        "copy_bytes": copying(megabytes, repeats, device),
        **gpu,
        **disk(folder, megabytes, repeats),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--most", type=int, help="side of the largest matrices")
    parser.add_argument("--matrix-seconds", type=float, default=4, help="for each precision")
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    figures = measure(
        arguments.folder,
        most=arguments.most,
        matrix_seconds=arguments.matrix_seconds,
        megabytes=arguments.megabytes,
        repeats=arguments.repeats,
        device=arguments.device,
    )
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
