"""The Slurm of the tests behaves as a real Slurm."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.slurm_daemons import Slurm, wait

pytestmark = pytest.mark.slow


def test_jobs_get_their_cpus_and_gpus_and_a_lost_node_is_noticed(
    slurm: Slurm, tmp_path: Path
) -> None:
    share = "echo $SLURMD_NODENAME $SLURM_CPUS_PER_TASK $CUDA_VISIBLE_DEVICES"
    job = slurm.sbatch("-c", 3, "--gres=gpu:2", "-o", "out", f"--wrap={share}", cwd=tmp_path)
    assert slurm.wait_until_ended(job) == ["COMPLETED"]
    assert (tmp_path / "out").read_text() in ("n1 3 0,1\n", "n2 3 0,1\n")

    array = slurm.sbatch("--array=1-2", "--no-requeue", "-w", "n2", "--wrap=sleep 100")
    wait(lambda: [job.state for job in slurm.squeue()] == ["RUNNING"] * 2, "both to run")
    wait(lambda: len(slurm.processes("n2")) >= 4, "both to have processes")
    slurm.kill_node("n2")
    assert not slurm.processes("n2")
    assert slurm.wait_until_ended(array) == ["NODE_FAIL"] * 2
    slurm.start_node("n2")

    waiting = slurm.sbatch("--begin=now+1hour", "--wrap=true")
    assert [job.number for job in slurm.squeue()] == [waiting]
    slurm.scancel(waiting)
    slurm.wait_until_empty()
