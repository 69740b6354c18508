"""The text of a job script: what Slurm and shellcheck read in it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from distributed import LocalCluster
from support.job_scripts import NASTY, array_script, dask_script

# Together they take both sides of every condition in the templates.
SCRIPTS = {
    "array with GPUs": array_script(
        *NASTY, gpus=2, partition="a,b", account="me", directives=("--qos=long",)
    ),
    "dask": dask_script(*NASTY),
    "dask with GPUs": dask_script("IN", gpus=2, interface="ib0", environment=("module load x",)),
    "dask in a container": dask_script("IN", resume=True, workers=2, prefix="apptainer exec x.sif"),
}


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_shellcheck_has_nothing_to_say_of_a_script(tmp_path: Path, script: str) -> None:
    path = tmp_path / "job.sh"
    path.write_text(script)
    # SC2016: the words of the tests have signs that bash must not expand.
    command = [Path(sys.executable).with_name("shellcheck"), "--exclude=SC2016", path]
    ran = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    assert (ran.returncode, ran.stdout) == (0, "")


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_slurm_reads_every_directive_at_the_head_of_a_script(script: str) -> None:
    head, _, rest = script.partition("\n\n")
    assert head.startswith("#!/bin/bash\n")
    assert all(line.startswith("#") for line in head.splitlines())
    assert "#SBATCH --signal=B:USR1@60\n" in head
    assert "#SBATCH" not in rest


def test_the_request_is_in_the_directives_and_in_the_commands_of_dask() -> None:
    head = SCRIPTS["array with GPUs"].partition("\n\n")[0].splitlines()
    for directive in ("array=1-3", "gres=gpu:2", "partition=a,b", "account=me", "qos=long",
                      "mem=2000M", "time=01:00:00", "cpus-per-task=2", "requeue"):  # fmt: skip
        assert f"#SBATCH --{directive}" in head
    with_gpus = SCRIPTS["dask with GPUs"]
    assert "dask cuda worker" in with_gpus
    assert with_gpus.count(" --protocol tls --interface ib0 ") == 2
    assert "--workers=2" in with_gpus
    assert "--nworkers 2" in SCRIPTS["dask in a container"]


def test_a_run_on_gpus_waits_for_its_first_worker(tmp_path: Path) -> None:
    before = SCRIPTS["dask with GPUs"].partition("bigunet segment")[0]
    check = re.search(r"^if ! .*?^fi$", before.partition("workers=$!")[2], re.DOTALL | re.MULTILINE)
    assert check
    assert "wait_for_workers" not in SCRIPTS["dask"]
    cluster: dict[str, Any] = {"threads_per_worker": 1, "host": "127.0.0.1", "processes": False,
                               "protocol": "tcp", "dashboard_address": "127.0.0.1:0"}  # fmt: skip
    script = check[0].replace("timeout=300", "timeout=1") + "\nexit 0\n"
    for workers in (0, 1):
        with LocalCluster(n_workers=workers, **cluster) as up:
            file = tmp_path / "scheduler.json"
            file.write_text(json.dumps({"address": up.scheduler_address}))
            ran = subprocess.run(
                ["bash", "-c", f"folder={tmp_path}\nlog=/dev/null\n{script}"],
                stderr=subprocess.PIPE, text=True, timeout=60,
            )  # fmt: skip
        assert (ran.returncode, "no Dask worker came" in ran.stderr) == (1 - workers, not workers)
