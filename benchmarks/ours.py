"""Segment a load as a user does, from zarr to zarr, and say how near the machine's limit that is.

    python benchmarks/ours.py FOLDER LOAD [--repeats 3] [--precision bf16] [--device cuda]
        [-- OPTION...]

FOLDER has what ``loads.py`` writes, which is made if it is not there; what follows ``--`` goes to
``bigunet segment``. Prints JSON: medians over the repeats, and each run's own report.

``efficiency`` is the operations of one pass over the whole image, without recompute, divided by
seconds times the matrix-product peak, measured in the same run, of the precision that was used.
Seconds are those from the first block to the last byte; ``command_seconds`` have the start of the
workers, too.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from limit import cpu_model, device_name, matrix_product
from loads import LOADS, Load


def segment(load: Load, folder: Path, options: list[str]) -> dict[str, Any]:
    """One run of the command; its report, with the seconds of the whole command."""
    target = folder / f"{load.name}-out.zarr"
    shutil.rmtree(target, ignore_errors=True)
    command = [
        sys.executable, "-m", "bigunet_cli.main", "segment", str(load.image(folder)), str(target),
        "--model", str(load.model(folder)), "--quiet", "--json", *options,
    ]  # fmt: skip
    begun = time.perf_counter()
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    report: dict[str, Any] = json.loads(done.stdout)
    return report | {"command_seconds": round(time.perf_counter() - begun, 3)}


def measure(
    load: Load,
    folder: Path,
    *,
    repeats: int,
    precision: str,
    device: str = "cpu",
    options: list[str],
    size: int = 4096,
) -> dict[str, Any]:
    """Medians of several runs, and the peak measured between them."""
    load.prepare(folder)
    reports, peaks = [], []
    for _ in range(repeats):
        peaks.append(matrix_product(precision, size, 3, device))
        reports.append(
            segment(load, folder, ["--precision", precision, "--device", device, *options])
        )
    seconds = statistics.median(report["seconds"] for report in reports)
    computed = statistics.median(report["compute_seconds"] for report in reports)
    image_bytes = load.voxels
    return {
        "load": load.name,
        "device": device_name(device),
        "cpu": cpu_model(),
        "precision": precision,
        "options": options,
        "voxels": load.voxels,
        "seconds": seconds,
        "command_seconds": statistics.median(report["command_seconds"] for report in reports),
        "microseconds_per_voxel": 1e6 * seconds / load.voxels,
        "megavoxels_per_second": load.voxels / 1e6 / seconds,
        "peak_memory_bytes": max(report["peak_memory_bytes"] for report in reports),
        "recompute": reports[0]["recompute"],
        "share_of_time_computing": computed / seconds,
        "bytes_read_per_image_byte": reports[0]["bytes_read"] / image_bytes,
        "flops_peak": statistics.median(peaks),
        "efficiency": load.flops / (seconds * statistics.median(peaks)),
        "runs": reports,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], epilog="What follows -- goes to bigunet segment."
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("load", choices=LOADS)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="bf16")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    given = parser.parse_args(sys.argv[1:end])
    found = measure(
        LOADS[given.load],
        given.folder,
        repeats=given.repeats,
        precision=given.precision,
        device=given.device,
        options=sys.argv[end + 1 :],
    )
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
