"""Runs a job script without a batch system: stand-ins for bigunet, Dask and Slurm."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

# It records its words, each with a null byte at its end; the environment says how it ends.
BIGUNET = """#!/bin/bash
echo "${SAID:-}" >>"$FOLDER/said"
if [ -n "$ADDS" ]; then mkdir -p "$ADDS" && echo '{}' >>"$ADDS/part-2-of-3.jsonl"; fi
trap 'sleep 0.3; touch "$FOLDER/ended"; exit 75' USR1
printf '%s\\0' "$@" >"$FOLDER/words"
if [ -n "$WAITS" ]; then for _ in {1..200}; do sleep 0.05; done; fi
sleep "${TAKES:-0}"
exit "${CODE:-0}"
"""
SCONTROL = """#!/bin/bash
echo "$*" >>"$FOLDER/requeued"
exit "${REFUSED:-0}"
"""
# A scheduler, and a worker that ends with it; $LOST names the one that dies early.
DASK = """#!/bin/bash
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
STAND_INS = {"bigunet": BIGUNET, "scontrol": SCONTROL, "dask": DASK, "srun": SRUN}


class JobShell:
    """Runs scripts in a folder, as job 9, or as task 2 of the array 7.

    Keywords of the methods are variables of the environment, which the stand-ins read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, text in STAND_INS.items():
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)

    def start(self, script: str, **variables: str) -> subprocess.Popen[str]:
        (self.folder / "job.sh").write_text(script)
        path = f"{self.folder}:{os.environ['PATH']}"
        env = {"PATH": path, "FOLDER": str(self.folder), "SLURM_ARRAY_JOB_ID": "7",
               "SLURM_ARRAY_TASK_ID": "2", "SLURM_JOB_ID": "9", "SLURM_JOB_NUM_NODES": "1",
               "SLURM_CPUS_PER_TASK": "1", "WAITS": "", **variables}  # fmt: skip
        return subprocess.Popen(
            ["bash", "job.sh"], cwd=self.folder, env=env, stderr=subprocess.PIPE, text=True
        )

    def run(self, script: str, **variables: str) -> int:
        """The exit code of a script that nothing disturbs."""
        with self.start(script, **variables) as process:
            process.wait(30)
        return process.returncode

    def signalled(self, script: str, times: int = 1, **variables: str) -> int:
        """The exit code of a script that gets the signal while the command runs."""
        with self.start(script, WAITS="1", **variables) as process:
            deadline = time.monotonic() + 60
            while not (self.folder / "words").exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            for _ in range(times):
                process.send_signal(signal.SIGUSR1)
                time.sleep(0.05)
            process.wait(60)
        return process.returncode

    @property
    def words(self) -> list[str]:
        """What the command received."""
        return (self.folder / "words").read_text().split("\0")[:-1]

    @property
    def requeued(self) -> list[str]:
        """The calls of scontrol."""
        path = self.folder / "requeued"
        return path.read_text().splitlines() if path.exists() else []
