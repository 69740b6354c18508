"""What a user asks of the jobs of a script: their way, number and size; 0 and empty are open."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from bigunet.errors import OptionError
from bigunet.jobs.duration import parse_duration
from bigunet.options.choices import Way
from bigunet.options.composed_kinds import Each
from bigunet.options.image_kinds import Size
from bigunet.options.option_fields import check_fields, documented, option
from bigunet.options.option_kinds import Choice, Kind, Text, Whole

JOBS = "Jobs"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# One word of a directive, without the characters that end it or that a shell would read.
_WORD = re.compile(r"""[^\s'"`$\\#]+""")
_LINE = re.compile(r"[^\r\n]+")


class Duration(Kind):
    """A length of time in whole seconds; ``bare`` is the unit of a number without one."""

    metavar = "TIME"
    doc = "int"

    def __init__(self, bare: str) -> None:
        self.bare = bare

    def parse(self, text: str) -> int:
        return parse_duration(text, bare=self.bare)

    def show(self, value: Any) -> str:
        return f"{value}s"

    def check(self, value: Any, name: str) -> int:
        return Whole().check(value, name)


@documented
@dataclass(frozen=True, slots=True)
class JobRequest:
    """What a job script asks the batch system for, and what it puts around the command.

    Raises
    ------
    OptionError
        If a value is impossible, or two values exclude each other.
    """

    way: Way = option(
        "array",
        Choice(Way, "way"),
        "What to submit. array: independent jobs, with a part of the blocks each. dask: one job of "
        "several nodes, with a Dask worker on each.",
        section=JOBS,
    )
    jobs: int = option(
        0,
        Whole(least=1),
        "Number of jobs of the array, or of nodes.",
        section=JOBS,
        usual="jobs that take about an hour each",
    )
    within_seconds: int = option(
        0,
        Duration("h"),
        "Time in which all is done, such as 2h, from the start of the jobs on; it decides the "
        "number of jobs.",
        section=JOBS,
        flag="--within",
        usual="no limit",
    )
    run_seconds: int = option(
        0,
        Duration("h"),
        "Time that the whole image takes on one job or node, in place of a measurement.",
        section=JOBS,
        flag="--hours",
        usual="measured on a few tiles",
    )
    walltime_seconds: int = option(
        0,
        Duration("min"),
        "Time limit of each job, such as 1:30:00.",
        section=JOBS,
        flag="--walltime",
        usual="twice the expected time",
    )
    memory_bytes: int = option(
        0,
        Size(),
        "Memory of each job or node, such as 16GB.",
        section=JOBS,
        flag="--memory",
        usual="what the blocks need",
    )
    cpus: int = option(
        0,
        Whole(least=1),
        "Number of cores of each job or node.",
        section=JOBS,
        usual="4 for each GPU; without GPUs those of this machine, 8 at most",
    )
    gpus: int = option(0, Whole(least=1), "Number of GPUs of each job or node.", section=JOBS)
    workers: int = option(
        0,
        Whole(least=1),
        "Number of processes that share the cores of a job or node without GPUs.",
        section=JOBS,
        usual="1",
    )
    name: str = option("bigunet", Text(), "Name of the jobs.", section=JOBS)
    partition: str = option(
        "", Text(), "Partition of the jobs: a group of nodes.", section=JOBS, metavar="NAME"
    )
    account: str = option(
        "", Text(), "Account that pays for the jobs.", section=JOBS, metavar="NAME"
    )
    directives: tuple[str, ...] = option(
        (),
        Each(Text(), "options, such as ('--qos=long',)"),
        "Another option of sbatch, such as --sbatch=-Cfast.",
        section=JOBS,
        flag="--sbatch",
        metavar="OPTION",
    )
    environment: tuple[str, ...] = option(
        (),
        Each(Text(), "lines, such as ('module load cuda',)"),
        "Line of bash that comes before the command, such as 'module load cuda'.",
        section=JOBS,
        flag="--env",
        metavar="LINE",
    )
    prefix: str = option(
        "",
        Text(),
        "Words of bash that start a command inside a container, such as 'apptainer exec "
        "bigunet.sif'.",
        section=JOBS,
        metavar="WORDS",
        usual="the commands of this environment",
    )
    interface: str = option(
        "",
        Text(),
        "Network interface, such as ib0, at which the processes of Dask meet.",
        section=JOBS,
        metavar="NAME",
    )

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("jobs", "cpus", "gpus", "workers"):
            if getattr(self, name) < 0:
                raise OptionError(f"--{name} {getattr(self, name)}: give at least 1")
        if self.jobs and self.within_seconds:
            raise OptionError("--jobs is the number of jobs, --within chooses it: give one of them")
        if self.workers and self.gpus:
            raise OptionError("--workers shares cores; with --gpus there is one worker per GPU")
        if self.interface and self.way != "dask":
            raise OptionError("--interface is for --way dask: jobs of an array do not talk")
        self._check_texts()

    def _check_texts(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise OptionError(f"--name {self.name!r}: give letters, digits, '.', '_' and '-'")
        for name in ("partition", "account", "interface"):
            word = getattr(self, name)
            if word and not _WORD.fullmatch(word):
                raise OptionError(f"--{name} {word!r}: give one word without quotes")
        for directive in self.directives:
            if not _LINE.fullmatch(directive) or not directive.startswith("-"):
                raise OptionError(f"--sbatch {directive!r}: give an option of sbatch, on one line")
        for line in (*self.environment, self.prefix):
            if line and not _LINE.fullmatch(line):
                raise OptionError(f"{line!r}: give each line on its own")

    @property
    def processes(self) -> int:
        """Number of workers of a job or node."""
        return self.gpus or self.workers or 1
