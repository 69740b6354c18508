"""Tasks of training processes, in a module of their own so that processes can import them."""

from __future__ import annotations

import os
import signal
import time
from datetime import timedelta
from functools import partial
from pathlib import Path

import torch
from torch import distributed

from bigunet.training.run.member import READY, Send
from bigunet.training.run.together import run_together

_LONG_SECONDS = 600


def meet(rank: int, folder: Path) -> None:
    """Connect to the other of two processes."""
    distributed.init_process_group(
        "gloo",
        init_method=(folder / "processes").as_uri(),
        rank=rank,
        world_size=2,
        timeout=timedelta(seconds=_LONG_SECONDS),
    )


def lost_before_it_meets_the_others(rank: int, send: Send, *, folder: Path) -> None:
    """End at once; the others would wait longer than a test may take."""
    if rank == 1:
        os._exit(3)
    meet(rank, folder)


def never_ready(rank: int, send: Send) -> None:
    if rank == 0:
        send(READY)
    time.sleep(_LONG_SECONDS)


def busy(rank: int, send: Send, *, folder: Path) -> None:
    """Write the process id into the folder, and then send nothing."""
    (folder / "begun").write_text(str(os.getpid()))
    (folder / "begun").rename(folder / f"process-{rank}")
    time.sleep(_LONG_SECONDS)


def failing_while_the_other_waits(rank: int, send: Send, *, folder: Path, error: Exception) -> None:
    """Fail in the second process, so that the first process fails because of it."""
    meet(rank, folder)
    send(READY)
    if rank == 1:
        raise error
    distributed.all_reduce(torch.ones(1))


def interrupted(rank: int, send: Send) -> str:
    """Send this process the signal of Ctrl-C, which reaches all processes of a terminal."""
    send(READY)
    os.kill(os.getpid(), signal.SIGINT)
    send(f"{rank} is here")
    return f"result of {rank}"


def lead_one_that_is_busy(folder: Path) -> None:
    """Be the starting process of a task that never ends."""
    run_together(partial(busy, folder=folder), 1, lambda message: None)
