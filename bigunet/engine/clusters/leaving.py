"""Leaves no job, no key and no process behind, whatever goes wrong when a cluster is closed."""

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
# For the numbers of jobs that are just being submitted.
_ANSWER_SECONDS = 20
_COMMAND_SECONDS = 60


def close_jobs(cluster: Any, submissions: Submissions) -> str:
    """Close a cluster, remove its keys, and cancel all of its jobs; never raises.

    With Slurm the jobs have ended then, so that what they write may be given to others.

    Returns
    -------
    str
        What went wrong, in a line for people; empty where all went well.
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
    """Remove the files of the certificates that a cluster made for its jobs."""
    for name, value in list(vars(cluster).items()):
        if name.startswith("_job_") and hasattr(value, "close"):
            with contextlib.suppress(OSError):
                value.close()  # the file goes with it


def _cancel(job_class: Any, submissions: Submissions) -> str:
    """Cancel by hand whatever is left, and wait for it to be gone."""
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
    """Whether jobs of these numbers wait, run or are ending; None where Slurm does not say."""
    try:
        told = _ran(["squeue", "--noheader", "--format=%i", f"--jobs={','.join(numbers)}"])
    except (OSError, subprocess.SubprocessError):
        return None
    if told.returncode:
        return False if "Invalid job id" in told.stderr else None
    return bool(told.stdout.strip())


def _ran(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=_COMMAND_SECONDS)
