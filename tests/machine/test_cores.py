"""Laws of how many cores a process takes for its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bigunet.machine.cores import core_owner, cores

# And what says that they are all on one host.
JOB_VARIABLES = {
    "SLURM_CPUS_PER_TASK": {},
    "SLURM_CPUS_ON_NODE": {},
    "LSB_DJOB_NUMPROC": {"LSB_MCPU_HOSTS": "here 999"},
    "NSLOTS": {"NHOSTS": "1"},
    "NCPUS": {"PBS_JOBID": "7.server"},
}
BOUND = len(os.sched_getaffinity(0))


@pytest.fixture(autouse=True)
def _no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, also in JOB_VARIABLES.items():
        for variable in (name, *also):
            monkeypatch.delenv(variable, raising=False)


def test_outside_of_jobs_they_are_those_that_it_is_bound_to() -> None:
    assert cores() == BOUND
    assert core_owner() == ""


@pytest.mark.parametrize("variable", JOB_VARIABLES)
def test_a_job_has_those_that_it_was_given(monkeypatch, variable: str) -> None:
    for name, value in JOB_VARIABLES[variable].items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(variable, "1")
    assert cores() == 1
    monkeypatch.setenv(variable, "999")
    assert cores() == BOUND
    monkeypatch.setenv(variable, "2(x3)")
    assert cores() == BOUND


@pytest.mark.skipif(BOUND < 2, reason="one core alone")
@pytest.mark.parametrize(
    ("variable", "also"),
    [
        ("LSB_DJOB_NUMPROC", {"LSB_MCPU_HOSTS": "here 1 there 1"}),
        ("LSB_DJOB_NUMPROC", {}),
        ("NSLOTS", {"NHOSTS": "2"}),
        ("NSLOTS", {}),
        ("NCPUS", {}),  # of no job
    ],
)
def test_cores_of_all_hosts_of_a_job_are_not_taken_for_this_ones(
    monkeypatch, variable: str, also: dict[str, str]
) -> None:
    for name, value in ({variable: "1"} | also).items():
        monkeypatch.setenv(name, value)
    assert cores() == BOUND
    assert core_owner() == ""


def test_a_task_of_a_job_has_its_own_and_tasks_are_told_apart(monkeypatch) -> None:
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "64")
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "1")
    assert cores() == 1
    owners = set()
    for job, task in (("7", "0"), ("7", "1"), ("8", "0"), ("8", "0")):
        monkeypatch.setenv("SLURM_JOB_ID", job)
        monkeypatch.setenv("SLURM_PROCID", task)
        owners.add(core_owner())
    assert len(owners) == 3


def test_a_real_quota_is_kept() -> None:
    group = Path(f"/sys/fs/cgroup/cpu/bigunet-test-{os.getpid()}")
    if BOUND < 2 or not (group.parent / "cpu.cfs_quota_us").exists():
        pytest.skip("no control groups of version 1 here, or one core alone")
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group may be made here: {error}")
    script = f"""if True:
        import os, pathlib
        from bigunet.machine.cores import cores
        pathlib.Path("{group}/tasks").write_text(str(os.getpid()))
        print(cores())
    """
    try:
        (group / "cpu.cfs_quota_us").write_text("100000")
        (group / "cpu.cfs_period_us").write_text("100000")
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    finally:
        group.rmdir()
    assert done.stdout == "1\n", done.stderr
