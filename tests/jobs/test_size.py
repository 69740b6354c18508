"""The numbers of a script: how many jobs, and the time, memory and cores of each."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from bigunet import SegmentOptions, plan
from bigunet.engine.clusters.job_memory import job_memory_mib, memory_limit_of
from bigunet.errors import OptionError
from bigunet.jobs.pace import Pace
from bigunet.jobs.request import JobRequest
from bigunet.jobs.size import JobSize, cpus_of, size_jobs
from bigunet.segmentation.plan.memory_share import sufficient_limit
from bigunet.segmentation.plan.shapes import pass_memory

PACE = Pace(start_seconds=60, work_seconds=36000, block_seconds=36, origin="a test")
GB = 10**9


def sized(request: JobRequest, pace: Pace | None = PACE, **changes: Any) -> JobSize:
    numbers = {"blocks": 1000, "limit_bytes": 4 * GB, "cpus": 8, **changes}
    return size_jobs(request, pace, **numbers)


@given(
    within=st.integers(1, 10**6),
    start=st.floats(0, 1000),
    work=st.floats(1, 10**7),
    blocks=st.integers(1, 5000),
)
def test_the_fewest_jobs_that_end_within_the_time_are_chosen(
    within: int, start: float, work: float, blocks: int
) -> None:
    pace = Pace(start, work, work / blocks, "a test")
    request = JobRequest(within_seconds=within)
    if pace.part_seconds(blocks, blocks=blocks) > within:
        with pytest.raises(OptionError, match=r"--within .* give more time"):
            sized(request, pace, blocks=blocks)
        return
    size = sized(request, pace, blocks=blocks)
    assert pace.part_seconds(size.jobs, blocks=blocks) <= within
    assert size.jobs == 1 or pace.part_seconds(size.jobs - 1, blocks=blocks) > within


@given(
    jobs=st.integers(1, 100),
    start=st.floats(0, 10**4),
    work=st.floats(1, 10**7),
    block=st.floats(0.01, 10**5),
    way=st.sampled_from(["array", "dask"]),
)
def test_a_job_has_the_time_for_its_share_or_to_go_on_later(
    jobs: int, start: float, work: float, block: float, way: Any
) -> None:
    size = sized(JobRequest(way=way, jobs=jobs), Pace(start, work, block, "a test"))
    assert size.part_seconds is not None
    # After the signal, a worker may have six blocks to finish; before it, it needs time for one.
    assert size.lead_seconds >= min(6 * block, block * math.ceil(1000 / jobs), 65535)
    assert size.walltime_seconds >= size.lead_seconds + start + block
    assert (
        size.walltime_seconds >= min(2 * size.part_seconds, 86400)
        or size.walltime_seconds >= 2 * size.lead_seconds
    )
    assert size.lead_seconds >= 60


def test_by_default_each_job_takes_an_hour_and_the_number_of_jobs_is_limited() -> None:
    assert sized(JobRequest()).jobs == 10
    assert sized(JobRequest(), replace(PACE, work_seconds=10**7)).jobs == 100
    assert sized(JobRequest(way="dask"), replace(PACE, work_seconds=10**7)).jobs == 8
    assert sized(JobRequest(), replace(PACE, work_seconds=10**7), blocks=3).jobs == 3
    assert sized(JobRequest(), replace(PACE, work_seconds=1)).jobs == 1


def test_the_numbers_of_the_request_are_used() -> None:
    request = JobRequest(jobs=7, walltime_seconds=4000, memory_bytes=64 << 30, cpus=5)
    size = sized(request, cpus=cpus_of(request, 99))
    assert (size.jobs, size.walltime_seconds, size.memory_mib, size.cpus) == (7, 4000, 65536, 5)
    assert (cpus_of(JobRequest(), 99), cpus_of(JobRequest(), 2)) == (8, 2)
    assert cpus_of(JobRequest(gpus=2), 99) == 8


@pytest.mark.parametrize(
    ("request_", "pace", "words"),
    [
        (JobRequest(jobs=1001), PACE, "1000 blocks to share"),
        (JobRequest(jobs=2, walltime_seconds=300), PACE, "--walltime 00:05:00.*give more"),
        (JobRequest(jobs=2), None, "--walltime or --hours"),
        (JobRequest(jobs=2, walltime_seconds=360), None, "take 00:06:00; give more"),
        (JobRequest(walltime_seconds=9999), None, "--jobs N"),
        (JobRequest(jobs=2, memory_bytes=4 * GB), PACE, "does not fit into --memory 4 GB"),
    ],
)
def test_numbers_that_contradict_each_other_are_refused(
    request_: JobRequest, pace: Pace | None, words: str
) -> None:
    with pytest.raises(OptionError, match=words):
        sized(request_, pace)


@given(st.integers(10**9, 10**13))
def test_the_memory_of_a_job_and_the_limit_in_it_agree(job_bytes: int) -> None:
    limit = memory_limit_of(job_bytes)
    assert limit < job_bytes
    # The job that a limit needs is the job that gave the limit, rounded up.
    assert 0 <= job_memory_mib(limit) - job_bytes / 2**20 <= 101 or limit == 1
    sized(JobRequest(jobs=1, memory_bytes=job_bytes), limit_bytes=limit)


@pytest.mark.parametrize("shape", [(300, 200), (5000, 3000), (9, 9000, 9000)])
@pytest.mark.parametrize(
    "options",
    [{}, {"block_shape": (512, 512)}, {"block_shape": (8192, 8192)}, {"tile_shape": (200, 200)}],
)
@pytest.mark.parametrize("limit", [0, 2 * GB])
def test_the_least_memory_that_suffices_gives_the_same_plan(
    tmp_path: Path, tiny_model: Path, shape: tuple[int, ...], options: Any, limit: int
) -> None:
    zarr.create_array(str(tmp_path / "in.zarr"), shape=shape, chunks=(1, 512, 512)[-len(shape) :],
                      dtype="uint16")  # fmt: skip

    def planned(limit: int) -> Any:
        limited = SegmentOptions(**options, memory_limit=limit, precision="fp32")
        return plan(tmp_path / "in.zarr", model=tiny_model, options=limited)

    first = planned(limit)
    tile = next(first.tiling.tiles(first.grid.box((0,) * len(shape)))).input.shape[-2:]
    least = sufficient_limit(
        first.share, first.uncut_block_bytes(), pass_memory(first.model, "fp32")(tile)
    )
    again = planned(least)
    assert (again.grid, again.tiling) == (first.grid, first.tiling)
    assert not limit or least <= limit
