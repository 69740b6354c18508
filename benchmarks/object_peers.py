"""Time and memory of bigunet and of other programs to number the objects of many blocks.

    python benchmarks/object_peers.py OUT.json --peers-python PYTHON [--sides 4 8]

``PYTHON`` has the packages of ``benchmarks/peers/objects-requirements.txt``. A block of 128 x 128 x
128 voxels with 1728 balls is repeated ``side`` times along each axis. Each program runs alone, in
a process of its own, and may take 8 GB. Ratios are of processor time, in one run of this script:
on a shared machine, the time on the clock depends on other work.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from many_objects import machine

SIDE = 128
PER_SIDE = 12
RADIUS = 3
SCRIPT = Path(__file__).parent / "peers" / "objects.py"

CHUNKS = """
import json, numpy, dask.array
from dask_image.ndmeasure import label
mask = (numpy.random.default_rng(0).random((12, 12)) < 0.4).astype("u1")
one, other = (label(dask.array.from_array(mask, chunks=c))[0].compute() for c in ((12, 12), (4, 6)))
print(json.dumps({"voxels": int(mask.sum()), "other_number": int((one != other).sum())}))
"""
"""The same mask in one chunk, and in chunks of 4 x 6: how many voxels get another number."""


def classes() -> np.ndarray:
    """The block that is repeated; balls go on beyond a side at the other side."""
    places, rng = np.ogrid[(slice(SIDE),) * 3], np.random.default_rng(0)
    block = np.zeros((SIDE,) * 3, np.uint8)
    for centre in np.ndindex((PER_SIDE,) * 3):
        middle = np.multiply(centre, SIDE / PER_SIDE).round() + rng.integers(-1, 2, 3)
        apart = [(p - m + SIDE // 2) % SIDE - SIDE // 2 for p, m in zip(places, middle)]
        block[sum(along**2 for along in apart) <= RADIUS**2] = 1
    return block


def measured(python: str, peer: str, block: Path, side: int, limit: float) -> dict[str, object]:
    """Figures of one program."""
    command = [python, str(SCRIPT), peer, str(block), str(side)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return {"error": f"stopped after {limit:.0f} s"}
    if done.returncode:
        return {"error": " ".join(done.stderr.splitlines()[-1:]) or f"exit {done.returncode}"}
    return dict(json.loads(done.stdout.splitlines()[-1]))


def compared(peers_python: str, block: Path, side: int, limit: float) -> dict[str, object]:
    """Figures of all programs for one number of blocks, with times relative to bigunet."""
    ours = measured(sys.executable, "bigunet", block, side, limit)
    runs = {"bigunet": ours}
    for peer in ("dask-image", "cellpose"):
        run = measured(peers_python, peer, block, side, limit)
        if "error" not in run:
            seconds, of_ours = (float(str(one["processor_seconds"])) for one in (run, ours))
            run["times_bigunet"] = round(seconds / of_ours, 1)
        runs[peer] = run
        print(side, peer, run, file=sys.stderr)
    return {"blocks": side**3, **runs}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--peers-python", required=True)
    parser.add_argument("--sides", type=int, nargs="+", default=[4, 8])
    parser.add_argument("--limit", type=float, default=900, help="seconds for a program")
    arguments = parser.parse_args()
    chunks = [arguments.peers_python, "-c", CHUNKS]
    done = subprocess.run(chunks, check=True, capture_output=True, text=True)
    runs: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        block = Path(folder, "classes.npy")
        np.save(block, classes())
        for side in arguments.sides:
            runs.append(compared(arguments.peers_python, block, side, arguments.limit))
            figures = {"machine": machine(), "chunks_of_dask_image": json.loads(done.stdout)}
            arguments.out.write_text(json.dumps(figures | {"runs": runs}, indent=2) + "\n")


if __name__ == "__main__":
    main()
