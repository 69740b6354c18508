"""The cores that a process may use, which a batch system or a container may have made few."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path

# Cores of a job, and what tells apart the processes that each have as many.
_JOBS = {
    "SLURM_CPUS_PER_TASK": ("SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_PROCID"),
    "SLURM_CPUS_ON_NODE": ("SLURM_JOB_ID",),
    "LSB_DJOB_NUMPROC": ("LSB_JOBID", "LSB_JOBINDEX"),
    "NSLOTS": ("JOB_ID", "SGE_TASK_ID"),
    "NCPUS": ("PBS_JOBID",),
}
_CGROUPS = Path("/sys/fs/cgroup")


def cores() -> int:
    """Cores that this process may use: those that it is bound to, or fewer by a quota or a job."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    told = _job(os.environ)[0]
    return max(1, min(n for n in (bound, told, _quota()) if n))


def core_owner() -> str:
    """What owns the cores that :func:`cores` counts: a job, or nothing smaller than the machine."""
    return _job(os.environ)[1]


def _job(environ: Mapping[str, str]) -> tuple[int, str]:
    """Cores of the batch job that this is, and its name; 0 and nothing outside of jobs."""
    for variable, names in _JOBS.items():
        if environ.get(variable, "").isdecimal() and _holds(variable, environ):
            told = [environ.get(name, "") for name in names]
            return int(environ[variable]), "-".join(told)
    return 0, ""


def _holds(variable: str, environ: Mapping[str, str]) -> bool:
    """Whether a variable counts the cores of a job on this host alone."""
    match variable:
        case "LSB_DJOB_NUMPROC":
            # Hosts, each with its slots.
            return len(environ.get("LSB_MCPU_HOSTS", "").split()) == 2
        case "NSLOTS":
            return environ.get("NHOSTS") == "1"
        case "NCPUS":
            return "PBS_JOBID" in environ
    return True


def _quota() -> int:
    """Whole cores' worth of time that control groups leave this process; 0 for all.

    The smallest of its own group and those above.
    """
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return 0
    found = [0.0]
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            found += _quotas(_CGROUPS, path, _of_version_2)
        elif "cpu" in controllers.split(","):
            for name in (controllers, "cpu"):
                found += _quotas(_CGROUPS / name, path, _of_version_1)
    return math.ceil(min((share for share in found if share > 0), default=0))


def _quotas(root: Path, path: str, read: Callable[[Path], float]) -> list[float]:
    group = root / path.strip("/")
    return [read(folder) for folder in (group, *group.parents) if folder.is_relative_to(root)]


def _of_version_2(folder: Path) -> float:
    return _share(*_words(folder / "cpu.max"))


def _of_version_1(folder: Path) -> float:
    return _share(*_words(folder / "cpu.cfs_quota_us"), *_words(folder / "cpu.cfs_period_us"))


def _share(quota: str = "max", period: str = "") -> float:
    """Cores' worth of a quota in a period; 0 where there is none (``max``, or -1)."""
    return int(quota) / int(period) if quota.isdecimal() and period.isdecimal() else 0.0


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:
        return []
