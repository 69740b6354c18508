"""Time what a block costs beyond its work, with blocks that do nothing.

    python benchmarks/scheduler.py [--blocks 100000] [--workers 1]

The window of submitted blocks, Dask, the ledger on disk and the events are those of a run. The
script prints JSON: milliseconds per block, and the memory of the process that holds client and
scheduler after each part of the run. This memory must not grow.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from processor import cpu_model

from bigunet.engine.clusters.client import open_client
from bigunet.engine.clusters.spec import ClusterSpec
from bigunet.engine.ledger import Ledger
from bigunet.engine.runner import Runner
from bigunet.engine.stage import Index, Result, Stage
from bigunet.events import BlockDone

_PARTS = 10


@dataclass(frozen=True)
class NoWork:
    """Returns at once a result as large as that of a block of a segmentation."""

    def __call__(self, index: Index) -> Result:
        return {"voxels": 16_777_216, "counts": [8_000_000, 8_777_216], "compute_seconds": 5.0612,
                "read_seconds": 0.0556, "write_seconds": 0.3012, "tiles_computed": 8,
                "bytes_read": 18_352_656, "device": "cpu", "backend": "torch"}  # fmt: skip


def measure(blocks: int, *, workers: int) -> dict[str, Any]:
    """Time and memory of a run of ``blocks`` blocks."""
    grid = (blocks // 100, 100)
    stage = Stage(
        name="segment",
        num_blocks=grid[0] * grid[1],
        traversal=lambda: (index for index in np.ndindex(*grid)),
        number=lambda index: index[0] * grid[1] + index[1],
        work=NoWork(),
    )
    process = psutil.Process()
    memory, milliseconds = [], []
    with (
        tempfile.TemporaryDirectory() as folder,
        open_client(ClusterSpec(kind="local", workers=workers)) as client,
        Ledger(Path(folder) / "ledger.jsonl") as ledger,
        Runner(client, (stage,)) as runner,
    ):
        ledger.begin({})
        part = max(1, stage.num_blocks // _PARTS)
        begun = since = time.perf_counter()
        for event in runner.run(stage, ledger):
            if isinstance(event, BlockDone) and event.num_done % part == 0:
                now = time.perf_counter()
                milliseconds.append(1e3 * (now - since) / part)
                memory.append(process.memory_info().rss)
                since = now
        seconds = time.perf_counter() - begun
    return {
        "cpu": cpu_model(),
        "blocks": stage.num_blocks,
        "workers": workers,
        "milliseconds_per_block": 1e3 * seconds / stage.num_blocks,
        "milliseconds_per_block_of_each_part": milliseconds,
        "memory_bytes_after_each_part": memory,
        "bytes_grown_per_block": (memory[-1] - memory[0]) / stage.num_blocks if memory else 0.0,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blocks", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    print(json.dumps(measure(arguments.blocks, workers=arguments.workers), indent=2))


if __name__ == "__main__":
    main()
