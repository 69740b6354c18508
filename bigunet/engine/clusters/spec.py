"""Describes which workers to use, in words and numbers alone; ``client.py`` gets them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import get_args

from bigunet.choices import BatchKind, ClusterKind
from bigunet.errors import OptionError

BATCH_KINDS: tuple[str, ...] = get_args(BatchKind)
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class JobSpec:
    """What each job of a batch system asks for. Dask-jobqueue's configuration gives the rest.

    Parameters
    ----------
    queue, account, walltime : str
        As the batch system names and writes them. For Slurm the queue is the partition, and the
        walltime is ``HH:MM:SS``.
    memory_bytes : int
    cores : int
    gpus : int
        Number of GPUs, each of which gets a worker; 0 for one worker on the job's cores.
    logs : str
        Folder for the output of jobs. By default each run has its own folder under
        ``~/.local/state/bigunet/jobs``.
    """

    queue: str = ""
    account: str = ""
    walltime: str = ""
    memory_bytes: int = 0
    cores: int = 0
    gpus: int = 0
    logs: str = ""

    def __post_init__(self) -> None:
        for name in ("memory_bytes", "cores", "gpus"):
            if getattr(self, name) < 0:
                raise OptionError(f"job {name.removesuffix('_bytes')} {getattr(self, name)}: < 0")
        if self.logs.split() not in ([], [self.logs]):
            raise OptionError(f"job logs {self.logs!r}: job scripts need a path without spaces")

    @property
    def num_workers(self) -> int:
        """Number of workers of each job."""
        return max(1, self.gpus)


@dataclass(frozen=True, slots=True)
class ClusterSpec:
    """Which workers to use.

    Parameters
    ----------
    kind : {"auto", "local", "cuda", "slurm", "pbs", "lsf", "sge", "htcondor", "oar", "threads"}
        ``local``: processes on this host's cores. ``threads``: one worker in this process.
        ``cuda``: one worker per visible GPU. ``auto``: threads for small work, otherwise the GPUs
        if there are some, otherwise processes. The others: jobs of a batch system.
    scheduler : str, optional
        Address or scheduler file of a running Dask cluster. Then none is started.
    workers : int, optional
        Number of workers or jobs. By default there is one worker on all cores, one per GPU, or one
        job.
    dashboard_address : str
        ``host:port`` of the dashboard; port 0 takes a free port. By default the dashboard has a
        free port of the loopback; workers in threads have no dashboard.
    host, interface : str
        Address, or network interface, at which the scheduler listens, so that other hosts can
        connect; by default the loopback. Workers in jobs listen at that interface, too.
    job : JobSpec
        What each job of a batch system asks for.
    """

    kind: ClusterKind = "auto"
    scheduler: str | None = None
    workers: int | None = None
    dashboard_address: str = ""
    host: str = ""
    interface: str = ""
    job: JobSpec = field(default_factory=JobSpec)

    def __post_init__(self) -> None:
        if self.kind not in get_args(ClusterKind):
            raise OptionError(f"cluster {self.kind!r}; known: {', '.join(get_args(ClusterKind))}")
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
                "queue, account, walltime and what else describes jobs are for batch systems: give "
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
