"""Segment a load with bigunet and with other programs in turn, and compare time and labels.

    python benchmarks/compare.py FOLDER LOAD [--peers NAME[:PRECISION[:TILE]]...] [--repeats 3]
                                 [--python .venv-peers/bin/python] [-- OPTION...]

The other programs are called peers. Each repeat runs every program once, so that a machine that
becomes slower slows all of them down. The script prints JSON: for each peer the median of its
seconds, its peak memory, its time in multiples of bigunet's, and the share of its labels that
differ from bigunet's. Options after ``--`` go to ``bigunet segment``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from limit import cpu_model, matrix_product
from loads import LOADS, Load
from ours import segment

RUN = Path(__file__).parent / "peers" / "run.py"
_TILE = {2: 1024, 3: 128}


@dataclass(frozen=True)
class Contender:
    """A peer with its settings, written as ``torch-em:bf16:1024``."""

    peer: str
    precision: str
    tile: int

    @classmethod
    def parse(cls, text: str, load: Load) -> Contender:
        peer, *rest = text.split(":")
        precision = rest[0] if rest else "fp32" if peer == "naive" else "bf16"
        if peer == "naive" and precision != "fp32":
            raise SystemExit("naive runs only in fp32")
        return cls(peer, precision, int(rest[1]) if rest[1:] else _TILE[load.config.ndim])

    @property
    def name(self) -> str:
        return f"{self.peer}:{self.precision}:{self.tile}"

    def run(self, load: Load, folder: Path, python: str) -> dict[str, Any]:
        """The result of one run of ``peers/run.py``."""
        done = subprocess.run(
            [
                python, str(RUN), self.peer, str(folder), load.name,
                "--precision", self.precision, "--tile", str(self.tile),
            ],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return result


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
    size: int = 4096,
) -> dict[str, Any]:
    """Medians of all programs, ours first."""
    load.prepare(folder)
    ours, theirs, peaks = [], {c.name: [] for c in contenders}, []  # type: ignore[var-annotated]
    labels = folder / f"{load.name}-out.zarr" / "labels" / "classes" / "0"
    for _ in range(repeats):
        peaks.append(matrix_product(precision, size, 3))
        ours.append(segment(load, folder, ["--precision", precision, *options]))
        for contender in contenders:
            result = contender.run(load, folder, python)
            result["differing"] = differing(labels, Path(result["output"]))
            theirs[contender.name].append(result)
    seconds = statistics.median(report["seconds"] for report in ours)
    return {
        "load": load.name,
        "cpu": cpu_model(),
        "voxels": load.voxels,
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
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="bf16", help="of bigunet")
    parser.add_argument(
        "--python", default=".venv-peers/bin/python", help="of an environment that has the peers"
    )
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    arguments = parser.parse_args(sys.argv[1:end])
    load = LOADS[arguments.load]
    figures = measure(
        load,
        arguments.folder,
        [Contender.parse(text, load) for text in arguments.peers],
        repeats=arguments.repeats,
        precision=arguments.precision,
        options=sys.argv[end + 1 :],
        python=arguments.python,
    )
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
