"""Segment a load with bigunet and with other programs in turn, and compare time and labels.

    python benchmarks/compare.py FOLDER LOAD [--peers NAME[:PRECISION[:TILE]]...] [--variants]
        [--repeats 3] [--device cuda] [--python .venv-peers/bin/python] [-- OPTION...]

The other programs are called peers. bigunet itself in another precision or with another backend is
one, too: ``bigunet:fp32:torch``. ``--variants`` adds each precision that the device has, as far as
this version of bigunet knows it, and Winograd's convolutions on a CPU. Each repeat runs every
program once, so that a machine that becomes slower slows all of them down. The script prints JSON:
for each peer the median of its seconds, its peak memory, its time in multiples of bigunet's, and
the share of its labels that differ from bigunet's. Options after ``--`` go to ``bigunet segment``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any, get_args

import numpy as np
import zarr
from contenders import Contender, own_variants
from loads import LOADS, Load
from ours import output_of, segment
from peak import matrix_peak
from processor import cpu_model, device_name, peak_precision, usual_precision

from bigunet.options.choices import Precision


def differing(ours: Path, theirs: Path) -> float:
    """The share of voxels with different labels; both arrays are read in slabs."""
    a, b = zarr.open_array(str(ours), mode="r"), zarr.open_array(str(theirs), mode="r")
    if a.shape != b.shape:
        raise ValueError(f"{theirs} has the shape {b.shape}, but ours has {a.shape}")
    step = b.chunks[0]
    slabs = [slice(k, k + step) for k in range(0, a.shape[0], step)]
    return sum(int(np.count_nonzero(a[s] != b[s])) for s in slabs) / a.size


def measure(
    load: Load,
    folder: Path,
    contenders: list[Contender],
    *,
    repeats: int,
    precision: str,
    options: list[str],
    python: str,
    device: str = "cpu",
    most: int | None = None,
) -> dict[str, Any]:
    """Medians of all programs, ours first."""
    load.prepare(folder)
    ours, theirs, peaks = [], {c.name: [] for c in contenders}, []  # type: ignore[var-annotated]
    labels = output_of(load, folder) / "labels" / "classes" / "0"
    limiting = peak_precision(precision, device)
    settings = ["--precision", precision, "--device", device]
    for _ in range(repeats):
        peaks.append(matrix_peak(limiting, device, seconds=2, most=most))
        ours.append(segment(load, folder, [*settings, *options]))
        for contender in contenders:
            result = contender.run(load, folder, python)
            result["differing"] = differing(labels, Path(result["output"]))
            theirs[contender.name].append(result)
    seconds = statistics.median(report["seconds"] for report in ours)
    return {
        "load": load.name,
        "device": device_name(device),
        "cpu": cpu_model(),
        "voxels": load.voxels,
        "peak_precision": limiting,
        "flops_peak": statistics.median(peaks),
        "ours": {
            "precision": precision,
            "options": options,
            "tile": ours[0]["tile"],
            "seconds": seconds,
            "microseconds_per_voxel": 1e6 * seconds / load.voxels,
            "peak_memory_bytes": max(report["peak_memory_bytes"] for report in ours),
            "runs": [report["seconds"] for report in ours],
        },
        "peers": {name: _summary(runs, seconds) for name, runs in theirs.items()},
    }


def _summary(runs: list[dict[str, Any]], ours: float) -> dict[str, Any]:
    seconds = statistics.median(run["seconds"] for run in runs)
    return {
        "seconds": seconds,
        "microseconds_per_voxel": statistics.median(r["microseconds_per_voxel"] for r in runs),
        "times_ours": seconds / ours,
        "peak_memory_bytes": max(run["peak_memory_bytes"] for run in runs),
        "differing": max(run["differing"] for run in runs),
        "runs": [run["seconds"] for run in runs],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("load", choices=LOADS)
    parser.add_argument(
        "--peers", nargs="+", default=["torch-em"], metavar="NAME[:PRECISION[:TILE]]"
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--variants", action="store_true", help="also bigunet in each precision")
    parser.add_argument(
        "--precision",
        choices=get_args(Precision),
        help="of bigunet; by default the fastest native one",
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument(
        "--python", default=".venv-peers/bin/python", help="of an environment that has the peers"
    )
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    arguments = parser.parse_args(sys.argv[1:end])
    load, device = LOADS[arguments.load], arguments.device
    texts = [*(own_variants(device) if arguments.variants else []), *arguments.peers]
    figures = measure(
        load,
        arguments.folder,
        [Contender.parse(text, load, device) for text in texts],
        repeats=arguments.repeats,
        precision=arguments.precision or usual_precision(device),
        device=device,
        options=sys.argv[end + 1 :],
        python=arguments.python,
    )
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
