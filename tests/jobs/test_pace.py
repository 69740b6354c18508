"""The pace of a job: a forecast, scaled to what the job has."""

from __future__ import annotations

from dataclasses import replace

from bigunet.jobs.pace import Pace
from bigunet.jobs.request import JobRequest
from bigunet.segmentation.forecast import Forecast

FORECAST = Forecast(
    seconds=1010, start_seconds=10, compute_seconds=900, read_seconds=100, write_seconds=100,
    block_seconds=20, memory_bytes=10**9, device="cpu", backend="torch", precision="fp32",
)  # fmt: skip


def test_a_forecast_is_scaled_to_the_cores_and_workers_of_a_job() -> None:
    pace = Pace.estimated(FORECAST, JobRequest(), cpus=8, cores=2)
    assert (pace.work_seconds, pace.block_seconds) == (250, 5)
    assert "cores: 2" in pace.origin
    shared = Pace.estimated(FORECAST, JobRequest(workers=4), cpus=8, cores=2)
    assert (shared.work_seconds, shared.block_seconds) == (250, 20)


def test_a_forecast_of_one_gpu_is_scaled_to_the_gpus_of_a_job() -> None:
    on_gpu = replace(FORECAST, device="cuda:0")
    pace = Pace.estimated(on_gpu, JobRequest(gpus=4), cpus=16, cores=2)
    assert (pace.work_seconds, pace.block_seconds) == (250, 20)


def test_the_time_that_the_user_gives_is_for_one_whole_job() -> None:
    pace = Pace.given(3600, JobRequest(workers=2), blocks=100)
    assert (pace.work_seconds, pace.block_seconds) == (3600, 72)
