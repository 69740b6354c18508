"""What the user asks of a job: which way, how many, how large; 0 and empty are left to choose."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import get_args

from bigunet.choices import Way
from bigunet.errors import OptionError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# One word of a directive: nothing that ends it, or that a shell would read.
_WORD = re.compile(r"""[^\s'"`$\\#]+""")
_LINE = re.compile(r"[^\r\n]+")


@dataclass(frozen=True, slots=True)
class JobRequest:
    """What a job script should ask the batch system for, and put around the command.

    Parameters
    ----------
    way : {"array", "dask"}
        ``array``: independent jobs, each a part of the run. ``dask``: one job of several nodes,
        with a Dask worker on each.
    jobs : int
        Jobs of the array, or nodes.
    within_seconds : int
        By when all should be done, counted from the start of the jobs.
    run_seconds : int
        What the whole image takes on one job or node; instead of a measurement.
    walltime_seconds, memory_bytes, cpus, gpus : int
        Of each job or node.
    workers : int
        Processes that share a job or node without GPUs.
    name, partition, account : str
    directives : tuple of str
        Further options of sbatch, such as ``--qos=long``.
    environment : tuple of str
        Lines of bash that come before the command.
    prefix : str
        What starts commands inside a container, as words of bash: ``apptainer exec x.sif``.
    interface : str
        Network on which Dask's processes meet, such as ``ib0``.

    Raises
    ------
    OptionError
        If some of it cannot be, or not together.
    """

    way: Way = "array"
    jobs: int = 0
    within_seconds: int = 0
    run_seconds: int = 0
    walltime_seconds: int = 0
    memory_bytes: int = 0
    cpus: int = 0
    gpus: int = 0
    workers: int = 0
    name: str = "bigunet"
    partition: str = ""
    account: str = ""
    directives: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    prefix: str = ""
    interface: str = ""

    def __post_init__(self) -> None:
        if self.way not in get_args(Way):
            raise OptionError(f"way {self.way!r}; known: {', '.join(get_args(Way))}")
        for name in ("jobs", "cpus", "gpus", "workers"):
            if getattr(self, name) < 0:
                raise OptionError(f"--{name} {getattr(self, name)}: give at least 1")
        if self.jobs and self.within_seconds:
            raise OptionError("--jobs says how many, --within lets it be chosen: give one of them")
        if self.workers and self.gpus:
            raise OptionError("--workers shares cores; with --gpus there is one worker per GPU")
        if self.interface and self.way != "dask":
            raise OptionError("--interface is for --way dask: jobs of an array do not talk")
        self._check_texts()

    def _check_texts(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise OptionError(f"--name {self.name!r}: give letters, digits, '.', '_' and '-'")
        for option in ("partition", "account", "interface"):
            word = getattr(self, option)
            if word and not _WORD.fullmatch(word):
                raise OptionError(f"--{option} {word!r}: give one word without quotes")
        for directive in self.directives:
            if not _LINE.fullmatch(directive) or not directive.startswith("-"):
                raise OptionError(f"--sbatch {directive!r}: give an option of sbatch, on one line")
        for line in (*self.environment, self.prefix):
            if line and not _LINE.fullmatch(line):
                raise OptionError(f"{line!r}: give each line on its own")

    @property
    def processes(self) -> int:
        """Workers of a job or node."""
        return self.gpus or self.workers or 1
