"""Closes a cluster of jobs, so that no job, key or process is left, whatever goes wrong."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Sequence
from typing import Any

from bigunet.engine.clusters.submissions import Submissions

_CLOSING_SECONDS = 60
# Slurm gives a job 30 seconds to end before it kills it.
_GONE_SECONDS = 40
_ASK_SECONDS = 0.5
# The time to wait for the numbers of jobs that are just being submitted.
_ANSWER_SECONDS = 20
_COMMAND_SECONDS = 60


def close_jobs(cluster: Any, submissions: Submissions) -> str:
    """Close a cluster, remove its keys, and cancel all of its jobs; nothing is raised.

    With Slurm, the jobs have ended afterwards, so that others may write the same output.

    Returns
    -------
    str
        A line for people that says what went wrong; empty if nothing did.
    """
    trouble, submissions.over = "", True
    try:
        cluster.close(timeout=_CLOSING_SECONDS)
    except TimeoutError:
        trouble = f"Dask did not close in {_CLOSING_SECONDS} seconds"
    except Exception as error:
        trouble = f"Dask did not close: {str(error) or type(error).__name__}"
    remove_keys(cluster)
    return _cancel(cluster.job_cls, submissions) or trouble


def remove_keys(cluster: Any) -> None:
    """Remove the files with the certificates that a cluster made for its jobs."""
    for name, value in list(vars(cluster).items()):
        if name.startswith("_job_") and hasattr(value, "close"):
            with contextlib.suppress(OSError):
                value.close()  # This removes the file.


def _cancel(job_class: Any, submissions: Submissions) -> str:
    """Cancel all jobs with the batch system's command, and wait for their end."""
    until = time.monotonic() + _ANSWER_SECONDS
    while submissions.num_open and time.monotonic() < until:
        time.sleep(_ASK_SECONDS)
    numbers, trouble = list(submissions.numbers), ""
    if not numbers:
        return ""
    if command := job_class.cancel_command:
        try:
            _ran([*command.split(), *numbers])
        except (OSError, subprocess.SubprocessError) as error:
            trouble = f"{command} failed: {error}; see that no jobs are left: {', '.join(numbers)}"
    if job_class.submit_command == "sbatch":
        until = time.monotonic() + _GONE_SECONDS
        while known_to_slurm(numbers) and time.monotonic() < until:
            time.sleep(_ASK_SECONDS)
    return trouble


def known_to_slurm(numbers: Sequence[str]) -> bool | None:
    """Whether jobs with these numbers wait, run or are ending; None if Slurm does not answer."""
    try:
        answer = _ran(["squeue", "--noheader", "--format=%i", f"--jobs={','.join(numbers)}"])
    except (OSError, subprocess.SubprocessError):
        return None
    if answer.returncode:
        return False if "Invalid job id" in answer.stderr else None
    return bool(answer.stdout.strip())


def _ran(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=_COMMAND_SECONDS)
