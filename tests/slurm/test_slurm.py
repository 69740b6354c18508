"""Jobs of a real Slurm as workers: the output is that of one process, to the byte."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dask
import numpy as np
import psutil
import pytest
import zarr
from support.slurm_daemons import Slurm, wait
from support.stored import contents

import bigunet
from bigunet import ClusterSpec, JobSpec, SegmentOptions
from bigunet.engine.clusters.client import (
    check_client,
    open_client,
    workers_per_cores,
    workers_per_host,
)
from bigunet.engine.clusters.worker_settings import SETTINGS, THREADS_PER_WORKER
from bigunet.machine.cores import cores

pytestmark = pytest.mark.slow

OPTIONS = SegmentOptions(
    block_shape=(64, 64), outputs=("classes", "probabilities"), precision="fp32", backend="torch"
)
SEGMENT = [
    sys.executable, "-m", "bigunet_cli.main", "segment", "--block-shape", "64,64",
    "--output", "classes", "--output", "probabilities", "--precision", "fp32",
    "--backend", "torch", "--quiet",
]  # fmt: skip
JOBS = ["--cluster", "slurm", "--interface", "lo", "--job-memory", "3GB"]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("jobs") / "in.zarr"
    array = zarr.create_array(str(path), shape=(1100, 1000), chunks=(256, 256), dtype="uint8")
    array[:] = np.random.default_rng(0).integers(0, 256, array.shape, np.uint8)
    return path


@pytest.fixture(scope="module")
def whole(image: Path, tiny_model: Path, client) -> Path:
    output = image.parent / "whole.zarr"
    bigunet.segment(image, output, model=tiny_model, options=OPTIONS, client=client)
    return output


class Command:
    """A ``bigunet segment`` that uses Slurm, in its own process."""

    def __init__(self, slurm: Slurm, *arguments: object, **environ: str) -> None:
        # By default, Dask waits longer before it declares a job lost.
        patience = {"DASK_DISTRIBUTED__DEPLOY__LOST_WORKER_TIMEOUT": "1s"}
        self.process = subprocess.Popen(
            [*SEGMENT, *map(str, arguments)], stderr=subprocess.PIPE, text=True,
            env=slurm.env | patience | environ,
        )  # fmt: skip

    def wait_for_blocks(self, output: Path, count: int) -> None:
        """Return in the middle of the run."""
        ledger = output / "bigunet" / "ledger.jsonl"

        def done() -> bool:
            assert self.process.poll() is None, self.process.stderr.read()
            return ledger.exists() and ledger.read_bytes().count(b"\n") > count

        wait(done, f"{count} blocks")

    def ended(self) -> tuple[int, str]:
        """The exit code, and the lines on stderr."""
        _, errors = self.process.communicate(timeout=120)
        return self.process.returncode, errors


@contextmanager
def command(slurm: Slurm, *arguments: object, **environ: str) -> Iterator[Command]:
    """Start the command, and end it with the test."""
    started = Command(slurm, *arguments, **environ)
    try:
        yield started
    finally:
        started.process.kill()
        started.process.communicate()


def test_a_cancelled_job_is_replaced_and_its_blocks_run_again(
    slurm: Slurm, image: Path, tiny_model: Path, whole: Path, tmp_path: Path
) -> None:
    output, logs = tmp_path / "out.zarr", tmp_path / "logs"
    with command(
        slurm, image, output, "--model", tiny_model, *JOBS, "--job-cores", 2, "--job-logs", logs,
        "--walltime", "00:40:00",
    ) as run:  # fmt: skip
        run.wait_for_blocks(output, 20)
        (first,) = slurm.squeue()
        check_job(slurm, first.number)
        check_processes(slurm.processes(first.nodes), run.process.pid)
        slurm.scancel(first.number)
        code, errors = run.ended()
    assert code == 0, errors
    assert errors == f"waiting for the first of 1 job of slurm; what they print goes to {logs}\n"
    assert contents(output) == contents(whole)
    slurm.wait_until_empty(timeout=10)
    printed = sorted(logs.glob("*.err"), key=lambda path: int(path.stem.split("-")[-1]))
    assert len(printed) == 2
    assert "Registered to: tls://127.0.0.1:" in re.sub(" +", " ", printed[1].read_text())


def check_job(slurm: Slurm, number: str) -> None:
    """A job asks for what the options say."""
    description = slurm.run("scontrol", "-o", "show", "job", number)
    for expected in ("CPUs/Task=2", "TimeLimit=00:40:00", "JobName=bigunet", "mem=3G"):
        assert expected in description


def check_processes(processes: list[psutil.Process], client: int) -> None:
    """Workers have the settings, retire before their job ends, and listen only on the loopback."""
    (nanny,) = [
        process for process in processes if "distributed.cli.dask_worker" in process.cmdline()
    ]
    (worker,) = [p for p in nanny.children() if "spawn_main" in " ".join(p.cmdline())]
    environ = worker.environ()
    assert environ["MALLOC_TRIM_THRESHOLD_"] == "4000000000"
    assert environ["PYTHONWARNINGS"] == "ignore"
    assert environ["DASK_DISTRIBUTED__WORKER__LIFETIME__DURATION"] == "2100s"
    assert environ["DASK_DISTRIBUTED__WORKER__MEMORY__MONITOR_INTERVAL"] == "500ms"
    listening = {
        connection.laddr.ip
        for process in (nanny, worker, psutil.Process(client))
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_after_the_death_of_a_node_the_run_continues_with_a_new_job_of_several_workers(
    slurm: Slurm, image: Path, tiny_model: Path, whole: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.zarr"
    with command(
        slurm, image, output, "--model", tiny_model, *JOBS, "--job-gpus", 2, "--job-cores", 4,
        "--job-memory", "4GB", "--job-logs", tmp_path,
        PYTHONPATH=os.pathsep.join(
            [str(without_gpus(tmp_path / "path")), os.environ.get("PYTHONPATH", "")]
        ),
    ) as run:  # fmt: skip
        run.wait_for_blocks(output, 20)
        (job,) = slurm.squeue()
        assert "gres:gpu:2" in slurm.run("scontrol", "-o", "show", "job", job.number)
        slurm.kill_node(job.nodes)
        try:
            code, errors = run.ended()
        finally:
            slurm.start_node(job.nodes)
    assert code == 0, errors
    assert contents(output) == contents(whole)
    slurm.wait_until_empty(timeout=10)


def without_gpus(folder: Path) -> Path:
    """A folder with a stand-in for ``dask_cuda.cli`` that starts two workers without GPUs."""
    package = folder / "dask_cuda"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "cli.py").write_text(
        "import sys\n"
        "from distributed.cli.dask_worker import main\n"
        "if __name__ == '__main__':\n"
        "    main([*sys.argv[1:], '--nworkers', '2'])\n"
    )
    return folder


def test_an_array_of_parts_needs_no_scheduler(
    slurm: Slurm, image: Path, tiny_model: Path, whole: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.zarr"
    script = tmp_path / "part.sh"
    words = [*SEGMENT, image, output, "--model", tiny_model]
    script.write_text(
        "#!/bin/bash\n#SBATCH --array=1-4 -c 2 --mem 2G -o part-%a.txt\n"
        f"exec {' '.join(map(str, words))} --part $SLURM_ARRAY_TASK_ID/4\n"
    )
    job = slurm.sbatch(script, cwd=tmp_path)
    states = slurm.wait_until_ended(job, timeout=120)
    logs = [path.read_text() for path in sorted(tmp_path.glob("part-*.txt"))]
    assert states == ["COMPLETED"] * 4, logs
    assert contents(output) == contents(whole)


def test_ctrl_c_leaves_no_job_behind_and_the_run_goes_on(
    slurm: Slurm, image: Path, tiny_model: Path, whole: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.zarr"
    words = [image, output, "--model", tiny_model, *JOBS, "--workers", 2, "--job-logs", tmp_path]
    with command(slurm, *words) as run:
        run.wait_for_blocks(output, 20)
        run.process.send_signal(signal.SIGINT)
        code, errors = run.ended()
    assert code == 130, errors
    assert errors.split("\n\n")[1] == "Interrupted; go on with the same command and --resume.\n"
    slurm.wait_until_empty(timeout=10)
    with command(slurm, *words, "--resume") as run:
        code, errors = run.ended()
    assert code == 0, errors
    assert contents(output) == contents(whole)


def test_python_gets_workers_that_know_their_share_and_end_with_the_client(
    slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SLURM_CONF", "PATH"):
        monkeypatch.setenv(name, slurm.env[name])
    job = JobSpec(memory_bytes=2_000_000_000, cores=1, logs=str(tmp_path))
    spec = ClusterSpec("slurm", workers=2, interface="lo", job=job)
    messages: list[str] = []
    with open_client(spec, messages.append) as client:
        client.wait_for_workers(2, timeout=100)
        check_client(client)
        # Both jobs run on this machine, but each has its own core.
        assert (workers_per_host(client), workers_per_cores(client)) == (2, 1)
        assert list(client.run(cores).values()) == [1, 1]
        assert list(client.nthreads().values()) == [THREADS_PER_WORKER] * 2
        for key in (
            "distributed.worker.profile.interval",
            "distributed.admin.tick.interval",
        ):
            assert set(client.run(dask.config.get, key).values()) == {SETTINGS[key]}
        assert [job.state for job in slurm.squeue()] == ["RUNNING"] * 2
    slurm.wait_until_empty(timeout=10)
    assert len(messages) == 1
    assert not list(tmp_path.glob(".dask-jobqueue.*")), "keys are left"


@pytest.mark.parametrize(
    ("number", "exit_code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGUSR1, 75)],
)
def test_jobs_in_the_queue_are_cancelled_when_the_command_ends(
    slurm: Slurm,
    image: Path,
    tiny_model: Path,
    tmp_path: Path,
    number: signal.Signals,
    exit_code: int,
) -> None:
    blocker = slurm.sbatch("--array=1-2", "-c", 4, "--wrap=sleep 100")
    try:
        with command(
            slurm, image, tmp_path / "out.zarr", "--model", tiny_model, *JOBS, "--workers", 3,
            "--job-logs", tmp_path,
        ) as run:  # fmt: skip
            wait(lambda: len(waiting(slurm)) == 3, "three jobs in the queue")
            os.kill(run.process.pid, number)
            code, errors = run.ended()
        assert code == exit_code, errors
        assert errors.startswith("waiting for the first of 3 jobs of slurm;")
        assert not waiting(slurm)
    finally:
        slurm.scancel(blocker)
        slurm.wait_until_empty()


def waiting(slurm: Slurm) -> list[str]:
    return [job.number for job in slurm.squeue() if job.name == "bigunet"]


def test_jobs_that_slurm_refuses_or_that_end_at_once_are_errors_of_one_line(
    slurm: Slurm, image: Path, tiny_model: Path, tmp_path: Path
) -> None:
    words = [image, tmp_path / "out.zarr", "--model", tiny_model, *JOBS, "--job-logs", tmp_path]
    with command(slurm, *words, "--queue", "none") as run:
        code, errors = run.ended()
    assert code == 1
    assert errors.splitlines()[1] == (
        "Error: jobs cannot be submitted: sbatch: error: invalid partition specified: none sbatch: "
        "error: Batch job submission failed: Invalid partition name specified"
    )
    # Like a module that the nodes do not have; it comes from the configuration of dask-jobqueue.
    prologue = '["echo no such module >&2", "exit 3"]'
    with command(slurm, *words, DASK_JOBQUEUE__SLURM__JOB_SCRIPT_PROLOGUE=prologue) as run:
        code, errors = run.ended()
    assert code == 1
    error = errors.splitlines()[1]
    assert re.fullmatch(r"Error: jobs \d+ ended before a worker came: no such module .*", error)
    assert f"(in {tmp_path}/bigunet-" in error
    assert not slurm.squeue()
