"""Starts a training run: in this process alone, or in several processes that share each step."""

from __future__ import annotations

import atexit
import os
import tempfile
from datetime import timedelta
from functools import partial
from pathlib import Path

import torch
from torch import distributed

from bigunet.events import OnTrainEvent
from bigunet.machine.cores import cores
from bigunet.machine.processes import check_processes
from bigunet.training.run.first_network import choose_device
from bigunet.training.run.learn import learn
from bigunet.training.run.member import READY, Send
from bigunet.training.run.together import run_together
from bigunet.training.run.train_report import TrainReport
from bigunet.training.run.training_run import TrainingRun

_PATIENCE = timedelta(days=7)
"""How long torch lets a process wait for the others: they wait while the first process validates or
fills the weight cache. A lost process is noticed at once all the same, by the starting process."""


def start_run(run: TrainingRun, on_event: OnTrainEvent) -> TrainReport:
    """Train in this process, or in as many other processes as the run's options say.

    Raises
    ------
    BigUNetError
        The error of one of the processes; or :class:`ClusterError`, if a process was lost, or if
        there are fewer GPUs than processes.
    """
    processes = run.options.processes
    # Choosing the last process's device reports missing GPUs before any process starts.
    choose_device(run.options.device, processes - 1)
    if processes == 1:
        return _checked(learn(run, 0, 1, on_event))
    check_processes("processes=1")
    with tempfile.TemporaryDirectory(prefix="bigunet-") as folder:
        meeting_point = (Path(folder) / "processes").as_uri()
        task = partial(_learn_with_others, run=run, meeting_point=meeting_point)
        return _checked(run_together(task, processes, on_event))


def _learn_with_others(
    rank: int, send: Send, *, run: TrainingRun, meeting_point: str
) -> TrainReport | None:
    processes = run.options.processes
    device = choose_device(run.options.device, rank)
    torch.set_num_threads(max(1, cores() // processes))
    if device.type == "cuda":
        torch.cuda.set_device(device)
    # All processes are on this machine, and other machines must not see their connections.
    for library in ("GLOO", "NCCL"):
        os.environ.setdefault(f"{library}_SOCKET_IFNAME", "lo")
    distributed.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        init_method=meeting_point,
        rank=rank,
        world_size=processes,
        timeout=_PATIENCE,
    )
    # At exit, so that an error is sent first: the other processes fail when a connection closes.
    atexit.register(distributed.destroy_process_group)
    send(READY)
    return learn(run, rank, processes, send)


def _checked(report: TrainReport | None) -> TrainReport:
    if report is None:
        raise AssertionError("the first process reports")
    return report
