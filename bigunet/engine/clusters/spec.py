"""Describes which workers to use, in words and numbers alone; ``client.py`` gets them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import get_args

from bigunet.errors import OptionError
from bigunet.options.choices import BatchKind, ClusterKind
from bigunet.options.composed_kinds import Optional
from bigunet.options.image_kinds import Size
from bigunet.options.option_fields import DOC, check_fields, documented, option
from bigunet.options.option_kinds import Choice, Path, Text, Whole
from bigunet.options.short_repr import changed_repr

BATCH_KINDS: tuple[str, ...] = get_args(BatchKind)
LOOPBACK = "127.0.0.1"


WORKERS, JOBS = "Workers", "Jobs of a batch system"


@documented
@dataclass(frozen=True, slots=True)
class JobSpec:
    """What each job of a batch system asks for. Dask-jobqueue's configuration gives the rest."""

    queue: str = option(
        "",
        Text(),
        "Queue of the jobs; Slurm calls it a partition.",
        section=JOBS,
        metavar="NAME",
    )
    account: str = option(
        "", Text(), "Account, or project, that pays for the jobs.", section=JOBS, metavar="NAME"
    )
    walltime: str = option(
        "",
        Text(),
        "Time limit of each job, as the batch system writes it, such as 04:00:00. Jobs that end "
        "are replaced.",
        section=JOBS,
        metavar="TIME",
    )
    memory_bytes: int = option(
        0,
        Size(),
        "Memory of each job, such as 16GB.",
        section=JOBS,
        flag="--job-memory",
        usual="as dask-jobqueue is configured",
        more="In Python, it is a number of bytes.",
    )
    cores: int = option(
        0,
        Whole(least=1),
        "Number of cores of each job.",
        section=JOBS,
        flag="--job-cores",
        usual="3",
    )
    gpus: int = option(
        0,
        Whole(least=1),
        "Number of GPUs of each job, with one worker for each.",
        section=JOBS,
        flag="--job-gpus",
        usual="a worker on the cores of the job",
    )
    logs: str = option(
        "",
        Path(),
        "Folder for what the jobs print, on a file system that they share with this machine.",
        section=JOBS,
        flag="--job-logs",
        metavar="FOLDER",
        usual="one for each run, under ~/.local/state/bigunet/jobs",
    )

    __repr__ = changed_repr

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("memory_bytes", "cores", "gpus"):
            if getattr(self, name) < 0:
                raise OptionError(
                    f"job {name.removesuffix('_bytes')} {getattr(self, name)}: give at least 0"
                )
        if self.logs.split() not in ([], [self.logs]):
            raise OptionError(f"job logs {self.logs!r}: job scripts need a path without spaces")

    @property
    def num_workers(self) -> int:
        """Number of workers of each job."""
        return max(1, self.gpus)


@documented
@dataclass(frozen=True, slots=True)
class ClusterSpec:
    """Which workers to use."""

    kind: ClusterKind = option(
        "auto",
        Choice(ClusterKind, "cluster"),
        "Workers to start. threads: in this process. local: processes on this machine. cuda: a "
        "process for each GPU. The others: jobs of a batch system. auto takes threads for images "
        "under 32 million voxels, else cuda if torch can use a GPU, else local.",
        section=WORKERS,
        flag="--cluster",
    )
    scheduler: str | None = option(
        None,
        Optional(Path()),
        "Address, or scheduler file, of a Dask cluster that runs already; no workers are started.",
        section=WORKERS,
        metavar="ADDRESS|FILE",
    )
    workers: int | None = option(
        None,
        Optional(Whole()),
        "Number of workers, or of jobs, to start.",
        section=WORKERS,
        usual="1, or one for each GPU",
    )
    dashboard_address: str = option(
        "",
        Text(),
        "Address at which Dask's dashboard listens; port 0 takes a free one.",
        section=WORKERS,
        metavar="HOST:PORT",
        usual="127.0.0.1:0, and no dashboard with threads",
    )
    host: str = option(
        "",
        Text(),
        "Address at which the scheduler listens, to let in other machines.",
        section=WORKERS,
        metavar="ADDRESS",
        usual="this machine alone",
    )
    interface: str = option(
        "",
        Text(),
        "Network interface, such as ib0, at which the scheduler listens, in place of --host; the "
        "jobs use their interface of this name, too.",
        section=WORKERS,
        metavar="NAME",
    )
    job: JobSpec = field(
        default_factory=JobSpec,
        metadata={DOC: "JobSpec\n    What each job of a batch system asks for."},
    )

    __repr__ = changed_repr

    def __post_init__(self) -> None:
        check_fields(self)
        if self.scheduler is not None and (self.host or self.interface):
            raise OptionError(
                "--host and --interface say where a scheduler that is started here listens; the "
                "one of --scheduler runs already: leave them out"
            )
        if self.workers is not None and self.workers < 1:
            raise OptionError(f"{self.workers} workers; give at least 1")
        _check_dashboard(self.dashboard_address)
        if self.kind == "threads" and self.scheduler is None:
            self._check_threads()
        if self.job != JobSpec() and not self.is_batch:
            raise OptionError(
                "queue, account, walltime and other options of jobs are for batch systems: give "
                "one of these clusters: " + ", ".join(BATCH_KINDS)
            )

    def _check_threads(self) -> None:
        if self.host or self.interface:
            raise OptionError("--cluster threads listens nowhere: leave out --host and --interface")
        if self.workers not in (None, 1):
            raise OptionError(
                f"--cluster threads is one worker, which uses all cores, not {self.workers}: leave "
                "out --workers, or give --cluster local"
            )

    @property
    def dashboard(self) -> str:
        """``host:port`` of the dashboard, for workers that are processes."""
        return self.dashboard_address or f"{LOOPBACK}:0"

    @property
    def is_batch(self) -> bool:
        """Whether workers are jobs of a batch system."""
        return self.scheduler is None and self.kind in BATCH_KINDS

    @property
    def workers_per_machine(self) -> int:
        """Number of workers that share a host's or a job's memory, as known before they start."""
        return self.job.num_workers if self.is_batch else self.workers or 1


def _check_dashboard(address: str) -> None:
    if not address:
        return
    port = address.rpartition(":")[2]
    if not (port.isascii() and port.isdecimal() and int(port) < 65536):
        raise OptionError(
            f"--dashboard-address {address}: give HOST:PORT, such as 127.0.0.1:8787, with a port "
            "from 0 to 65535"
        )
