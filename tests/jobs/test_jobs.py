"""Job scripts: what is chosen for a job, and what bash makes of the text."""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zarr
from distributed import LocalCluster
from hypothesis import given
from hypothesis import strategies as st

from bigunet import SegmentOptions, plan
from bigunet.engine.clusters.job_memory import job_memory_mib, memory_limit_of
from bigunet.errors import OptionError
from bigunet.jobs.duration import clock, parse_duration
from bigunet.jobs.pace import Pace
from bigunet.jobs.request import JobRequest
from bigunet.jobs.script import Commands, JobText, array_script, dask_script
from bigunet.jobs.size import JobSize, cpus_of, size_jobs
from bigunet.segmentation.forecast import Forecast
from bigunet.segmentation.plan.memory_share import sufficient_limit
from bigunet.segmentation.plan.shapes import pass_memory

SIZE = JobSize(
    jobs=3, walltime_seconds=3600, memory_mib=2000, cpus=2, lead_seconds=60, part_seconds=900
)
PACE = Pace(start_seconds=60, work_seconds=36000, block_seconds=36, told="told")
GB = 10**9


@pytest.mark.parametrize(
    ("text", "bare", "seconds"),
    [
        ("2h", "min", 7200),
        ("90min", "h", 5400),
        ("1.5", "h", 5400),
        ("1.5", "min", 90),
        ("2d", "h", 172800),
        ("0.1s", "h", 1),
        ("30:05", "h", 1805),  # of Slurm: minutes and seconds
        ("1:30:00", "min", 5400),
        ("1-12", "min", 129600),
        ("1-12:30", "min", 131400),
        ("1-12:30:15", "min", 131415),
    ],
)
def test_times_are_read_as_people_and_slurm_write_them(text: str, bare: str, seconds: int) -> None:
    assert parse_duration(text, bare=bare) == seconds


@given(st.integers(1, 10**7))
def test_slurm_reads_a_time_that_was_written_for_it(seconds: int) -> None:
    assert parse_duration(clock(seconds), bare="min") == seconds


@pytest.mark.parametrize("text", ["", "0", "soon", "-1h", "1:2:3:4", "1-", "2 weeks", "0:00:00"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="no length of time"):
        parse_duration(text, bare="h")


def sized(request: JobRequest, pace: Pace | None = PACE, **given: Any) -> JobSize:
    numbers = {"blocks": 1000, "limit_bytes": 4 * GB, "cpus": 8, **given}
    return size_jobs(request, pace, **numbers)


@given(
    within=st.integers(1, 10**6),
    start=st.floats(0, 1000),
    work=st.floats(1, 10**7),
    blocks=st.integers(1, 5000),
)
def test_as_few_jobs_as_end_in_the_time_that_was_wished(
    within: int, start: float, work: float, blocks: int
) -> None:
    pace = Pace(start, work, work / blocks, "told")
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
    size = sized(JobRequest(way=way, jobs=jobs), Pace(start, work, block, "told"))
    assert size.part_seconds is not None
    # Of the blocks that a worker has when it is told, and of a first one before.
    assert size.lead_seconds >= min(6 * block, block * math.ceil(1000 / jobs), 65535)
    assert size.walltime_seconds >= size.lead_seconds + start + block
    assert (
        size.walltime_seconds >= min(2 * size.part_seconds, 86400)
        or size.walltime_seconds >= 2 * size.lead_seconds
    )
    assert size.lead_seconds >= 60


def test_without_a_wish_each_job_takes_an_hour_but_there_are_not_too_many() -> None:
    assert sized(JobRequest()).jobs == 10
    assert sized(JobRequest(), replace(PACE, work_seconds=10**7)).jobs == 100
    assert sized(JobRequest(way="dask"), replace(PACE, work_seconds=10**7)).jobs == 8
    assert sized(JobRequest(), replace(PACE, work_seconds=10**7), blocks=3).jobs == 3
    assert sized(JobRequest(), replace(PACE, work_seconds=1)).jobs == 1


def test_what_was_asked_for_is_taken() -> None:
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
def test_what_cannot_be_is_refused(request_: JobRequest, pace: Pace | None, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        sized(request_, pace)


@given(st.integers(10**9, 10**13))
def test_the_memory_of_a_job_and_the_limit_in_it_agree(job_bytes: int) -> None:
    limit = memory_limit_of(job_bytes)
    assert limit < job_bytes
    # What a limit needs is what it was taken from, but for rounding up.
    assert 0 <= job_memory_mib(limit) - job_bytes / 2**20 <= 101 or limit == 1
    sized(JobRequest(jobs=1, memory_bytes=job_bytes), limit_bytes=limit)


FORECAST = Forecast(
    seconds=1010, start_seconds=10, compute_seconds=900, read_seconds=100, write_seconds=100,
    block_seconds=20, memory_bytes=GB, device="cpu", backend="torch", precision="fp32",
)  # fmt: skip


def test_a_forecast_is_scaled_to_the_cores_and_workers_of_a_job() -> None:
    pace = Pace.foretold(FORECAST, JobRequest(), cpus=8, cores=2)
    assert (pace.work_seconds, pace.block_seconds) == (250, 5)
    assert "cores: 2" in pace.told
    shared = Pace.foretold(FORECAST, JobRequest(workers=4), cpus=8, cores=2)
    assert (shared.work_seconds, shared.block_seconds) == (250, 20)
    on_gpu = replace(FORECAST, device="cuda:0")
    gpus = Pace.foretold(on_gpu, JobRequest(gpus=4), cpus=16, cores=2)
    assert (gpus.work_seconds, gpus.block_seconds) == (250, 20)
    given_ = Pace.given(3600, JobRequest(workers=2), blocks=100)
    assert (given_.work_seconds, given_.block_seconds) == (3600, 72)


@pytest.mark.parametrize("shape", [(300, 200), (5000, 3000), (9, 9000, 9000)])
@pytest.mark.parametrize(
    "options",
    [{}, {"block_shape": (512, 512)}, {"block_shape": (8192, 8192)}, {"tile_shape": (200, 200)}],
)
@pytest.mark.parametrize("limit", [0, 2 * GB])
def test_within_the_memory_that_suffices_the_plan_is_the_same(
    tmp_path: Path, tiny_model: Path, shape: tuple[int, ...], options: Any, limit: int
) -> None:
    zarr.create_array(str(tmp_path / "in.zarr"), shape=shape, chunks=(1, 512, 512)[-len(shape) :],
                      dtype="uint16")  # fmt: skip

    def planned(limit: int) -> Any:
        given_ = SegmentOptions(**options, memory_limit=limit, precision="fp32")
        return plan(tmp_path / "in.zarr", model=tiny_model, options=given_)

    first = planned(limit)
    tile = next(first.tiling.tiles(first.grid.box((0,) * len(shape)))).input.shape[-2:]
    least = sufficient_limit(
        first.share, first.uncut_block_bytes(), pass_memory(first.model, "fp32")(tile)
    )
    again = planned(least)
    assert (again.grid, again.tiling) == (first.grid, first.tiling)
    assert not limit or least <= limit


@pytest.mark.parametrize(
    ("given_", "words"),
    [
        ({"way": "pigeon"}, "way 'pigeon'"),
        ({"jobs": -1}, "--jobs -1"),
        ({"jobs": 2, "within_seconds": 2}, "give one of them"),
        ({"workers": 2, "gpus": 2}, "one worker per GPU"),
        ({"interface": "ib0"}, "--way dask"),
        ({"name": "two words"}, "--name"),
        ({"name": "x\n#SBATCH --mem=1"}, "--name"),
        ({"partition": "a b"}, "--partition"),
        ({"account": "$(id)"}, "--account"),
        ({"directives": ("--qos=a\nrm",)}, "--sbatch"),
        ({"directives": ("qos=a",)}, "--sbatch"),
        ({"environment": ("one\ntwo",)}, "on its own"),
    ],
)
def test_a_request_that_cannot_be_is_refused(given_: Any, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        JobRequest(**given_)


STAND_IN = """#!/bin/bash
# Ends as it is told to; keeps its words, each with a null byte behind it.
if [ "${0##*/}" = scontrol ]; then echo "$*" >>"$FOLDER/requeued"; exit "${REFUSED:-0}"; fi
echo "${SAID:-}" >>"$FOLDER/said"
if [ -n "$ADDS" ]; then mkdir -p "$ADDS" && echo '{}' >>"$ADDS/part-2-of-3.jsonl"; fi
trap 'sleep 0.3; touch "$FOLDER/ended"; exit 75' USR1
printf '%s\\0' "$@" >"$FOLDER/words"
if [ -n "$WAITS" ]; then for _ in {1..200}; do sleep 0.05; done; fi
sleep "${TAKES:-0}"
exit "${CODE:-0}"
"""


DASK = """#!/bin/bash
# A scheduler, and a worker that ends with it; either ends soon where it is $LOST.
end() { touch "$FOLDER/over"; exit 0; }
trap end TERM
role=$1
if [ "$role" = scheduler ]; then
    rm -f "$FOLDER/over"
    while [ "$1" != --scheduler-file ]; do shift; done
    echo address >"$2"
fi
for i in {1..1200}; do
    if [ -e "$FOLDER/over" ]; then exit; fi
    if [ "$role" = "$LOST" ] && [ "$i" = 10 ]; then
        # Workers notice later.
        (sleep 2; touch "$FOLDER/over") &
        exit
    fi
    sleep 0.05
done
"""
SRUN = """#!/bin/bash
while [ "$1" != dask ]; do shift; done
exec "$@"
"""


class Shell:
    """Runs a script with stand-ins for bigunet, Dask and Slurm."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, text in (
            ("bigunet", STAND_IN), ("scontrol", STAND_IN), ("dask", DASK), ("srun", SRUN),
        ):  # fmt: skip
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)

    def start(self, script: str, **told: str) -> subprocess.Popen[str]:
        (self.folder / "job.sh").write_text(script)
        path = f"{self.folder}:{os.environ['PATH']}"
        env = {"PATH": path, "FOLDER": str(self.folder), "SLURM_ARRAY_JOB_ID": "7",
               "SLURM_ARRAY_TASK_ID": "2", "SLURM_JOB_ID": "9", "SLURM_JOB_NUM_NODES": "1",
               "SLURM_CPUS_PER_TASK": "1", "WAITS": "", **told}  # fmt: skip
        return subprocess.Popen(
            ["bash", "job.sh"], cwd=self.folder, env=env, stderr=subprocess.PIPE, text=True
        )

    def signalled(self, script: str, times: int = 1, **told: str) -> int:
        """Its code after the signal, once the command runs."""
        with self.start(script, WAITS="1", **told) as process:
            deadline = time.monotonic() + 60
            while not (self.folder / "words").exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            for _ in range(times):
                process.send_signal(signal.SIGUSR1)
                time.sleep(0.05)
            process.wait(60)
        return process.returncode

    def run(self, script: str, **told: str) -> int:
        with self.start(script, **told) as process:
            process.wait(30)
        return process.returncode

    @property
    def words(self) -> list[str]:
        return (self.folder / "words").read_text().split("\0")[:-1]

    @property
    def requeued(self) -> list[str]:
        path = self.folder / "requeued"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


NASTY = [
    "a b",
    "it's",
    '"$HOME"',
    "`id`",
    "$(touch x)",
    "new\nline",
    "back\\slash",
    "",
    "!!",
    "é;&|",
]


LEDGERS = "the out's"
COMMANDS = Commands("bigunet", "dask", shlex.quote(sys.executable))


def text(*words: str) -> JobText:
    return JobText(
        title="What it does, even\nwith 'lines'", words=words, notes=["note"], ledgers=LEDGERS
    )


def array(*words: str, **request: Any) -> str:
    return array_script(JobRequest(**request), SIZE, text(*words), COMMANDS)


def dask(*words: str, resume: bool = False, **request: Any) -> str:
    return dask_script(
        JobRequest(way="dask", **request), SIZE, text(*words), COMMANDS,
        resume=resume,
    )  # fmt: skip


def test_every_word_reaches_the_command_as_it_is(shell: Shell) -> None:
    assert shell.run(array(*NASTY)) == 0
    assert shell.words == ["segment", *NASTY, "--part=2/3"]
    assert shell.requeued == []
    assert not (shell.folder / "x").exists()


def test_lines_for_the_environment_come_first(shell: Shell) -> None:
    lines = ("export SAID='as told'", "set -eu")
    assert shell.run(array("IN", environment=lines)) == 0
    assert (shell.folder / "said").read_text() == "as told\n"


@pytest.mark.parametrize("code", [0, 1, 2, 137, 143])
def test_how_the_command_ends_is_how_the_job_ends(shell: Shell, code: int) -> None:
    assert shell.run(array("IN"), CODE=str(code)) == code
    assert shell.requeued == []


@pytest.mark.parametrize("code", [75, 138])
def test_a_job_that_was_asked_to_end_is_queued_again(shell: Shell, code: int) -> None:
    assert shell.run(array("IN"), CODE=str(code)) == 0
    assert shell.requeued == ["requeue 7_2"]


def test_a_job_that_cannot_be_queued_again_says_so(shell: Shell) -> None:
    with shell.start(array("IN"), CODE="75", REFUSED="1") as process:
        _, told = process.communicate(timeout=30)
    assert process.returncode == 75
    assert "submit the script again" in told


STRICT = {"environment": ("set -euo pipefail",)}


@pytest.mark.parametrize("strict", [{}, STRICT])
def test_the_signal_goes_on_to_the_command_whose_end_is_waited_for(
    shell: Shell, strict: Any
) -> None:
    assert shell.signalled(array("IN", **strict), times=2) == 0
    assert (shell.folder / "ended").exists()
    assert shell.requeued == ["requeue 7_2"]


def test_strict_lines_of_the_environment_change_nothing_of_how_a_job_ends(shell: Shell) -> None:
    assert shell.run(array("IN", **STRICT), CODE="75") == 0
    assert shell.requeued == ["requeue 7_2"]
    assert shell.run(array("IN", **STRICT), CODE="75", REFUSED="1") == 75
    failing = ("set -e", "false")
    (shell.folder / "words").unlink()
    assert shell.run(array("IN", environment=failing)) == 1
    assert not (shell.folder / "words").exists()


def test_a_job_that_was_queued_again_and_finishes_no_block_is_not_queued_once_more(
    shell: Shell,
) -> None:
    def queued(code: int, **told: str) -> bool:
        before = len(shell.requeued)
        assert shell.run(array("IN", **request), CODE="75", **told) == code
        return len(shell.requeued) > before

    request: Any = {}
    again = {"SLURM_RESTART_COUNT": "1"}
    # No ledger may have been there.
    assert queued(0)
    assert not queued(75, **again)
    assert queued(0, ADDS=LEDGERS, **again)
    assert not queued(75, **again)
    assert queued(0, ADDS=LEDGERS, **again)
    with shell.start(array("IN"), CODE="138", **again) as process:
        _, told = process.communicate(timeout=30)
    assert (process.returncode, told.count("\n")) == (138, 1)
    assert "finished no block; give more --walltime" in told
    # In a container, whose ledgers cannot be seen outside.
    request = {"prefix": "env"}
    assert not queued(75, **again)
    (shell.folder / LEDGERS).rename(shell.folder / "elsewhere")
    assert queued(0, **again)


def test_a_job_of_dask_that_was_queued_again_goes_on(shell: Shell) -> None:
    assert (shell.run(dask("IN")), shell.words[3:]) == (0, [])
    again = {"SLURM_RESTART_COUNT": "1", "CODE": "75"}
    assert (shell.run(dask("IN"), **again), shell.words[3:]) == (75, ["--resume"])
    assert (shell.run(dask("IN", resume=True)), shell.words[3:]) == (0, ["--resume"])


@pytest.mark.parametrize("strict", [{}, STRICT])
def test_the_folder_with_the_key_is_removed_however_a_job_of_dask_ends(
    shell: Shell, strict: Any
) -> None:
    def left() -> bool:
        return any(shell.folder.glob(".bigunet-*"))

    script = dask("IN", **strict)
    assert (shell.run(script), left()) == (0, False)
    # There is no scheduler to end any more.
    assert (shell.run(script, CODE="3", TAKES="1", LOST="scheduler"), left()) == (3, False)
    (shell.folder / "words").unlink()
    assert (shell.signalled(script), left()) == (0, False)
    assert shell.requeued == ["requeue 9"]


def test_a_command_whose_workers_are_lost_ends_with_an_error(shell: Shell) -> None:
    with shell.start(dask("IN"), WAITS="1", LOST="worker") as process:
        _, told = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "workers have all ended, see " in told
    assert shell.requeued == []
    assert not any(shell.folder.glob(".bigunet-*"))


SCRIPTS = [
    array(*NASTY, gpus=2, partition="a,b", account="me", directives=("--qos=long",)),
    dask(*NASTY),
    dask("IN", gpus=2, interface="ib0", environment=("module load x",)),
    dask("IN", resume=True, workers=2, prefix="apptainer exec x.sif"),
]


@pytest.mark.parametrize("script", SCRIPTS)
def test_bash_can_read_every_script_and_slurm_its_head(tmp_path: Path, script: str) -> None:
    path = tmp_path / "job.sh"
    path.write_text(script)
    subprocess.run(["bash", "-n", path], check=True)
    head, _, rest = script.partition("\n\n")
    assert head.startswith("#!/bin/bash\n")
    assert all(line.startswith("#") for line in head.splitlines())
    assert "#SBATCH --signal=B:USR1@60\n" in head
    assert "#SBATCH" not in rest
    if shellcheck := shutil.which("shellcheck"):
        subprocess.run([shellcheck, "--exclude=SC2016", path], check=True)


def test_a_run_on_gpus_waits_for_its_first_worker(tmp_path: Path) -> None:
    before = SCRIPTS[2].partition("bigunet segment")[0]
    found = re.search(r"^if ! .*?^fi$", before.partition("workers=$!")[2], re.DOTALL | re.MULTILINE)
    assert found
    assert "wait_for_workers" not in SCRIPTS[1]
    cluster: dict[str, Any] = {"threads_per_worker": 1, "host": "127.0.0.1", "processes": False,
                               "protocol": "tcp", "dashboard_address": "127.0.0.1:0"}  # fmt: skip
    script = found[0].replace("timeout=300", "timeout=1") + "\nexit 0\n"
    for workers in (0, 1):
        with LocalCluster(n_workers=workers, **cluster) as up:
            file = tmp_path / "scheduler.json"
            file.write_text(json.dumps({"address": up.scheduler_address}))
            ran = subprocess.run(
                ["bash", "-c", f"folder={tmp_path}\nlog=/dev/null\n{script}"],
                stderr=subprocess.PIPE, text=True, timeout=60,
            )  # fmt: skip
        assert (ran.returncode, "no Dask worker came" in ran.stderr) == (1 - workers, not workers)


def test_gpus_and_what_else_was_asked_for_are_in_the_head() -> None:
    head = SCRIPTS[0].partition("\n\n")[0].splitlines()
    for directive in ("array=1-3", "gres=gpu:2", "partition=a,b", "account=me", "qos=long",
                      "mem=2000M", "time=01:00:00", "cpus-per-task=2", "requeue"):  # fmt: skip
        assert f"#SBATCH --{directive}" in head
    assert "dask cuda worker" in SCRIPTS[2]
    assert "--interface ib0" in SCRIPTS[2]
    assert "--workers=2" in SCRIPTS[2]
    assert "--nworkers 2" in SCRIPTS[3]
