"""What processes of a training can come to, where other processes find it."""

from __future__ import annotations

import os
import signal
import time
from datetime import timedelta
from functools import partial
from pathlib import Path

import torch
from torch import distributed

from bigunet.training.run.member import READY, Tell
from bigunet.training.run.together import run_together

_LONG_SECONDS = 600


def meet(rank: int, folder: Path) -> None:
    """Be one of two processes that share what they compute."""
    distributed.init_process_group(
        "gloo",
        init_method=(folder / "processes").as_uri(),
        rank=rank,
        world_size=2,
        timeout=timedelta(seconds=_LONG_SECONDS),
    )


def lost_before_the_others_are_found(rank: int, tell: Tell, *, folder: Path) -> None:
    """The others wait for it far longer than a test may take."""
    if rank == 1:
        os._exit(3)
    meet(rank, folder)


def never_ready(rank: int, tell: Tell) -> None:
    if rank == 0:
        tell(READY)
    time.sleep(_LONG_SECONDS)


def busy(rank: int, tell: Tell, *, folder: Path) -> None:
    """Leaves its process id where it is looked for, and has nothing to tell."""
    (folder / "begun").write_text(str(os.getpid()))
    (folder / "begun").rename(folder / f"process-{rank}")
    time.sleep(_LONG_SECONDS)


def failing_while_the_other_waits(rank: int, tell: Tell, *, folder: Path, error: Exception) -> None:
    """The first process then fails because the second one does."""
    meet(rank, folder)
    tell(READY)
    if rank == 1:
        raise error
    distributed.all_reduce(torch.ones(1))


def interrupted(rank: int, tell: Tell) -> str:
    """Ctrl-C reaches all processes of a terminal."""
    tell(READY)
    os.kill(os.getpid(), signal.SIGINT)
    tell(f"{rank} is here")
    return f"result of {rank}"


def lead_one_that_is_busy(folder: Path) -> None:
    """Be the process that listens."""
    run_together(partial(busy, folder=folder), 1, lambda told: None)
