"""Segment a load as a user does, from zarr to zarr, and compare it with the limit of the machine.

    python benchmarks/ours.py FOLDER LOAD [--repeats 3] [--precision bf16] [--device cuda]
        [-- OPTION...]

FOLDER holds the files of ``loads.py``; missing ones are made. Options after ``--`` go to
``bigunet segment``. The script prints JSON: medians over the repeats, and the report of each run.

``efficiency`` is the number of operations of one pass over the whole image, without recompute,
divided by the seconds and by the peak rate of matrix products. That peak is measured in the same
run and in the same precision, or in fp32 where the processor has no instructions for the precision.
``seconds`` count from the first block to the last byte; ``command_seconds`` include the start of
the workers. ``profile`` says where the time of the last run went, as ``run_profile.py`` does.
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
from typing import Any, get_args

from loads import LOADS, Load
from peak import matrix_peak
from processor import cpu_model, device_name, peak_precision, usual_precision
from run_profile import profile_of

from bigunet.options.choices import Precision


def output_of(load: Load, folder: Path, suffix: str = "") -> Path:
    """Where the command writes; each suffix has an output of its own."""
    return folder / f"{load.name}-out{suffix}.zarr"


def segment(
    load: Load, folder: Path, options: list[str], *, suffix: str = "", model: Path | None = None
) -> dict[str, Any]:
    """Run the command once, and return its report with the seconds of the whole command."""
    target = output_of(load, folder, suffix)
    shutil.rmtree(target, ignore_errors=True)
    command = [
        sys.executable, "-m", "bigunet_cli.main", "segment", str(load.image(folder)), str(target),
        "--model", str(model or load.model(folder)), "--quiet", "--json", *options,
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
    most: int | None = None,
) -> dict[str, Any]:
    """Medians of several runs, and of the peak that is measured between them."""
    load.prepare(folder)
    reports, peaks, limiting = [], [], peak_precision(precision, device)
    for _ in range(repeats):
        peaks.append(matrix_peak(limiting, device, seconds=2, most=most))
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
        "peak_precision": limiting,
        "flops_peak": statistics.median(peaks),
        "efficiency": load.flops / (seconds * statistics.median(peaks)),
        "profile": profile_of(output_of(load, folder)).to_dict(statistics.median(peaks)),
        "runs": reports,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], epilog="Options after -- go to bigunet segment."
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("load", choices=LOADS)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--precision", choices=get_args(Precision), help="by default the fastest native one"
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    arguments = parser.parse_args(sys.argv[1:end])
    figures = measure(
        LOADS[arguments.load],
        arguments.folder,
        repeats=arguments.repeats,
        precision=arguments.precision or usual_precision(arguments.device),
        device=arguments.device,
        options=sys.argv[end + 1 :],
    )
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
