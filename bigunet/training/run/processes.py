"""The processes of a training run: this one alone, or others that share each step."""

from __future__ import annotations

import atexit
import os
import tempfile
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

import torch
from torch import distributed

from bigunet.machine.processes import check_processes
from bigunet.training.run.description import TrainEvent, TrainJob, TrainReport
from bigunet.training.run.first_network import choose_device
from bigunet.training.run.learn import run
from bigunet.training.run.member import READY, Tell
from bigunet.training.run.together import run_together

_PATIENCE = timedelta(days=7)
"""The others wait while the first process validates, or fills the weight cache; one that ends is
seen by the process that listens, whatever this is."""


def run_processes(job: TrainJob, on_event: Callable[[TrainEvent], None]) -> TrainReport:
    """Train in this process, or in as many others as the job's options say.

    Raises
    ------
    BigUNetError
        What one of the processes ran into; or :class:`ClusterError`, if one was lost, or there
        are fewer GPUs than processes.
    """
    processes = job.options.processes
    # Of the last one, so that too few are told before any process starts.
    choose_device(job.options.device, processes - 1)
    if processes == 1:
        return _report(run(job, 0, 1, on_event))
    check_processes("processes=1")
    with tempfile.TemporaryDirectory(prefix="bigunet-") as name:
        meeting_point = (Path(name) / "processes").as_uri()
        part = partial(_take_part, job=job, meeting_point=meeting_point)
        return _report(run_together(part, processes, on_event))


def _take_part(rank: int, tell: Tell, *, job: TrainJob, meeting_point: str) -> TrainReport | None:
    processes = job.options.processes
    device = choose_device(job.options.device, rank)
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // processes))
    if device.type == "cuda":
        torch.cuda.set_device(device)
    # All are on this machine, and nothing of it is to be seen from others.
    for library in ("GLOO", "NCCL"):
        os.environ.setdefault(f"{library}_SOCKET_IFNAME", "lo")
    distributed.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        init_method=meeting_point,
        rank=rank,
        world_size=processes,
        timeout=_PATIENCE,
    )
    # Not before an error is told: the others fail as soon as their connection closes.
    atexit.register(distributed.destroy_process_group)
    tell(READY)
    return run(job, rank, processes, tell)


def _report(found: TrainReport | None) -> TrainReport:
    if found is None:
        raise AssertionError("the first process reports")
    return found
