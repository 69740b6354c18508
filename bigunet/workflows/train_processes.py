"""The processes of a training run: this one alone, or with others that share each step."""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch
from torch import distributed

from bigunet.errors import BigUNetError, ClusterError, TrainingError
from bigunet.workflows.train_job import TrainEvent, TrainJob, TrainReport
from bigunet.workflows.train_network import choose_device
from bigunet.workflows.train_run import run

_MEETING_POINT, _ERROR = "processes", "error"
_ENDING_SECONDS = 20
_PATIENCE = timedelta(hours=2)
"""While the first process validates, the others wait."""


def run_processes(job: TrainJob, on_event: Callable[[TrainEvent], None]) -> TrainReport:
    """Train with as many processes as the job's options say; this one is the first of them.

    Raises
    ------
    BigUNetError
        What the first process ran into, or :class:`ClusterError` if another one was lost.
    """
    processes = job.options.processes
    if processes == 1:
        return _report(run(job, 0, 1, on_event))
    with tempfile.TemporaryDirectory(prefix="bigunet-") as name:
        folder = Path(name)
        others = [_start(job, rank, processes, folder) for rank in range(1, processes)]
        try:
            with _joined(job, 0, processes, folder):
                return _report(run(job, 0, processes, on_event))
        except BigUNetError:
            raise
        except RuntimeError as error:
            raise _lost(others, folder) or error from error
        finally:
            _end(others)


def _start(job: TrainJob, rank: int, processes: int, folder: Path) -> BaseProcess:
    # A fork would copy the locks of torch's and zarr's threads, held or not.
    process = multiprocessing.get_context("spawn").Process(
        target=_take_part, args=(job, rank, processes, folder), name=f"train-{rank}"
    )
    process.start()
    return process


def _take_part(job: TrainJob, rank: int, processes: int, folder: Path) -> None:
    try:
        with _joined(job, rank, processes, folder):
            run(job, rank, processes, _ignore)
    except BigUNetError as error:
        (folder / _ERROR).write_text(str(error))
        sys.exit(1)
    except (RuntimeError, KeyboardInterrupt):
        # Of the connection to a process that ended: the first one says why.
        sys.exit(1)


def _lost(others: Sequence[BaseProcess], folder: Path) -> BigUNetError | None:
    """What became of the other processes; None if they are all there."""
    for process in others:
        process.join(_ENDING_SECONDS)
    if (folder / _ERROR).is_file():
        return TrainingError((folder / _ERROR).read_text())
    ended = sum(process.exitcode not in (None, 0) for process in others)
    told = f"{ended} of {len(others)} other training processes ended; continue with --resume"
    return ClusterError(told) if ended else None


@contextmanager
def _joined(job: TrainJob, rank: int, processes: int, folder: Path) -> Iterator[None]:
    """Be one of the processes that average their gradients."""
    threads = torch.get_num_threads()
    device = choose_device(job.options.device, rank)
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // processes))
    # All are on this machine, and nothing of it is to be seen from others.
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    distributed.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        init_method=(folder / _MEETING_POINT).as_uri(),
        rank=rank,
        world_size=processes,
        timeout=_PATIENCE,
    )
    try:
        yield
    finally:
        distributed.destroy_process_group()
        torch.set_num_threads(threads)


def _end(others: Sequence[BaseProcess]) -> None:
    """Wait for those that are done, and end those that wait for a process that failed."""
    for process in others:
        process.join(_ENDING_SECONDS if process.exitcode is None else 0)
        if process.is_alive():
            process.terminate()
            process.join()


def _report(found: TrainReport | None) -> TrainReport:
    if found is None:
        raise AssertionError("the first process reports")
    return found


def _ignore(event: TrainEvent) -> None:
    pass
