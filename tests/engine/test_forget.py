"""Laws of long runs: after many blocks, client, scheduler and workers hold as much as after few."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import dask
import numpy as np
import pytest
from dask.utils import key_split
from distributed import Client

from bigunet.engine.ledger import Ledger
from bigunet.engine.runner import Runner
from bigunet.engine.stage import Index, Result, Stage
from bigunet.events import BlockDone

WARM, BLOCKS = 1000, 3000


# Short limits for what Dask keeps for some time.
SHORT = {
    "distributed.admin.low-level-log-length": 100,
    "distributed.admin.system-monitor.log-length": 2,
    "distributed.worker.profile.enabled": False,
}


@pytest.fixture
def quiet_client() -> Iterator[Client]:
    """Client, scheduler and worker in this process."""
    with (
        dask.config.set(SHORT),
        Client(
            processes=False, n_workers=1, threads_per_worker=2, protocol="tcp", host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
        ) as client,
    ):  # fmt: skip
        yield client


def no_work(index: Index) -> Result:
    return {"voxels": 16_777_216, "compute_seconds": 5.0612}


def held(client: Client) -> dict[str, int]:
    """Sizes in the process that client, scheduler and worker share in this test."""

    def counted(dask_scheduler) -> dict[str, int]:
        spans = dask_scheduler.extensions["spans"].spans.values()
        return {
            "tasks": len(dask_scheduler.tasks),
            "groups": len(dask_scheduler.task_groups),
            "names": len(dask_scheduler.task_prefixes),
            "submissions": sum(len(s.metadata["collections"]) for s in spans if s.metadata),
            "split names": key_split.cache_info().currsize,
        }

    sizes = client.run_on_scheduler(counted)
    key_split.cache_clear()
    gc.collect()
    return {**sizes, "allocated": sys.getallocatedblocks()}


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_blocks(
    quiet_client: Client, tmp_path: Path
) -> None:
    grid = (BLOCKS // 50, 50)
    stage = Stage(
        "segment",
        BLOCKS,
        lambda: (tuple(map(int, index)) for index in np.ndindex(*grid)),
        lambda index: index[0] * grid[1] + index[1],
        no_work,
    )
    seen: dict[int, dict[str, int]] = {}
    with Ledger(tmp_path / "ledger") as ledger, Runner(quiet_client, (stage,)) as runner:
        ledger.begin({})
        for event in runner.run(stage, ledger):
            if isinstance(event, BlockDone) and event.num_done in (WARM, BLOCKS):
                seen[event.num_done] = held(quiet_client)
    first, last = seen[WARM], seen[BLOCKS]
    for what in ("tasks", "submissions"):
        assert last[what] <= first[what] + 50, (what, first, last)
    assert last["split names"] <= 1100
    # A group or a name of tasks for each block would be as many lines on the dashboard.
    assert last["groups"] <= first["groups"]
    assert last["names"] <= first["names"]
    # An object each for the ledger's numbers of finished blocks, and what clocks add: 1 to 2.3 were
    # seen. With what Dask keeps it is 8.
    assert last["allocated"] - first["allocated"] < 4 * (BLOCKS - WARM), (first, last)
