"""The number of cores that this process may use, which a batch system or a container may limit."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path

from bigunet.machine.cgroups import CgroupFiles, words

# Each variable holds the number of cores of a batch job. The names tell apart processes that have
# that number of cores each.
_JOBS = {
    "SLURM_CPUS_PER_TASK": ("SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_PROCID"),
    "SLURM_CPUS_ON_NODE": ("SLURM_JOB_ID",),
    "LSB_DJOB_NUMPROC": ("LSB_JOBID", "LSB_JOBINDEX"),
    "NSLOTS": ("JOB_ID", "SGE_TASK_ID"),
    "NCPUS": ("PBS_JOBID",),
}


def cores(cgroups: CgroupFiles | None = None) -> int:
    """Number of cores that this process may use, 1 at least.

    This is the smallest of three numbers: the cores that the process is bound to, the cores of its
    batch job, and the quota of its control groups.

    Parameters
    ----------
    cgroups : CgroupFiles, optional
        Where to read the quota; by default where Linux has it.
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    of_job = _job(os.environ)[0]
    return max(1, min(n for n in (bound, of_job, _quota(cgroups or CgroupFiles())) if n))


def core_owner() -> str:
    """Name of the batch job or task that owns the cores; empty outside of batch jobs."""
    return _job(os.environ)[1]


def _job(environ: Mapping[str, str]) -> tuple[int, str]:
    """Number of cores and name of the batch job around this process; 0 and empty without one."""
    for variable, names in _JOBS.items():
        if environ.get(variable, "").isdecimal() and _counts_this_host(variable, environ):
            owner = "-".join(environ.get(name, "") for name in names)
            return int(environ[variable]), owner
    return 0, ""


def _counts_this_host(variable: str, environ: Mapping[str, str]) -> bool:
    """Whether a variable counts the cores of a batch job on this host alone."""
    match variable:
        case "LSB_DJOB_NUMPROC":
            # This variable lists each host with its number of slots.
            return len(environ.get("LSB_MCPU_HOSTS", "").split()) == 2
        case "NSLOTS":
            return environ.get("NHOSTS") == "1"
        case "NCPUS":
            return "PBS_JOBID" in environ
    return True


def _quota(cgroups: CgroupFiles) -> int:
    """Cores' worth of time that control groups leave this process, rounded up; 0 for no quota."""
    shares = [_share(version, folder) for version, folder in cgroups.groups("cpu")]
    return math.ceil(min((share for share in shares if share > 0), default=0))


def _share(version: int, folder: Path) -> float:
    """Cores' worth of one group's quota; 0 where it has none (``max``, or -1)."""
    if version == 2:
        quota_and_period = words(folder / "cpu.max")
    else:
        quota_and_period = words(folder / "cpu.cfs_quota_us") + words(folder / "cpu.cfs_period_us")
    match quota_and_period:
        case [quota, period] if quota.isdecimal() and period.isdecimal():
            return int(quota) / int(period)
    return 0.0
