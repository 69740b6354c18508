"""A real Slurm with a few nodes on this machine's loopback, for the length of a test session.

It has its own configuration, key, sockets, ports and spool. It does not use the state of the
system, and needs no root if its programs are installed (see ``install.sh``).
"""

from __future__ import annotations

import contextlib
import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol", "sinfo")
_SEARCHED = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
_PATIENCE_SECONDS = 60
_ENDED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY")

_CONF = """
ClusterName=bigunet
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={port}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=10
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
MpiDefault=none
SwitchType=switch/none
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_interval=1,batch_sched_delay=0,sched_min_interval=0
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=256
ReturnToService=2
KillWait=2
MinJobAge=300
SlurmctldTimeout=10
SlurmdTimeout=5
SlurmdParameters=config_overrides
PropagateResourceLimits=NONE
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
GresTypes=gpu
"""
_NODE = (
    "NodeName={name} NodeHostname=localhost NodeAddr=127.0.0.1 Port={port} CPUs=4 "
    "RealMemory=8000 Gres=gpu:2 State=UNKNOWN\n"
)
_PARTITION = "PartitionName=main Nodes=ALL Default=YES MaxTime=60 State=UP OverSubscribe=NO\n"


@dataclass(frozen=True)
class QueuedJob:
    """A job in the output of squeue; ``nodes`` is empty while the job waits."""

    number: str
    name: str
    state: str
    nodes: str


@dataclass
class Slurm:
    """A running Slurm.

    Parameters
    ----------
    folder : Path
        A folder for this Slurm alone. Sockets need a path of fewer than 80 letters.
    nodes : tuple of str
        Names of the nodes. Each has 4 CPUs, 8000 MB and two fake GPUs.
    """

    folder: Path
    nodes: tuple[str, ...] = ("n1", "n2")
    _daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        """The environment for processes that use this Slurm."""
        return {**os.environ, "SLURM_CONF": str(self.folder / "slurm.conf"), "PATH": _SEARCHED}

    @staticmethod
    def missing() -> list[str]:
        """The programs of Slurm that are not installed."""
        return [name for name in PROGRAMS if shutil.which(name, path=_SEARCHED) is None]

    def start(self) -> None:
        """Start all daemons; return when every node is idle."""
        # Munge demands that all users can reach its socket.
        self.folder.chmod(0o755)
        self._write_conf()
        self._start("munged", self._munged())
        wait(lambda: self._has("munged", "munge.socket"), "munged's socket")
        self._start("slurmctld", ["slurmctld", "-D", "-i"])
        for node in self.nodes:
            self.start_node(node)

    def stop(self) -> None:
        """Cancel all jobs, and end all daemons."""
        with contextlib.suppress(subprocess.SubprocessError, AssertionError):
            self.scancel(*{job.number for job in self.squeue()})
            self.wait_until_empty(timeout=20)
        for name in reversed(self._daemons):
            end(self._daemons[name])
        self._daemons.clear()

    def start_node(self, node: str) -> None:
        """Start a node, or restart it after :meth:`kill_node`; return when it is idle."""
        self._start(node, ["slurmd", "-D", "-N", node])
        wait(lambda: self._idle(node), f"node {node} idle")

    def kill_node(self, node: str) -> None:
        """Kill a node's daemon and all its processes with SIGKILL, as a power cut would.

        Slurm gets a report of it, as from a site's health check, because it would take half a
        minute to notice by itself.
        """
        daemon = self._daemons.pop(node)
        daemon.kill()
        daemon.wait()
        while running := self.processes(node):
            for process in running:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(running, timeout=5)
        self.run("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=killed")

    def processes(self, node: str) -> list[psutil.Process]:
        """The processes of jobs on a node; those that supervise jobs come first."""
        variables = {"SLURM_CONF": self.env["SLURM_CONF"], "SLURMD_NODENAME": node}
        processes: dict[psutil.Process, None] = {}
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if variables.items() <= process.environ().items():
                    processes[process] = None
                    parent = process.parent()
                    if parent is not None and parent.name().startswith("slurmstepd"):
                        processes = {parent: None, **processes}
        return [process for process in processes if process.status() != psutil.STATUS_ZOMBIE]

    def run(self, *command: object, cwd: Path | None = None) -> str:
        """The output of a command of Slurm."""
        done = subprocess.run(
            [*map(str, command)], env=self.env, cwd=cwd, capture_output=True, text=True, timeout=60
        )
        if done.returncode:
            raise AssertionError(f"{command}: {done.stderr}")
        return done.stdout

    def sbatch(self, *arguments: object, cwd: Path | None = None) -> str:
        """Submit a job, and return its number; its output goes into ``cwd`` or Slurm's folder."""
        output = self.run("sbatch", "--parsable", *arguments, cwd=cwd or self.folder)
        return output.strip().split(";")[0]

    def squeue(self) -> list[QueuedJob]:
        """All jobs that wait or run; the tasks of an array count one by one."""
        lines = self.run("squeue", "-h", "-r", "-o", "%i|%j|%T|%N").splitlines()
        return [QueuedJob(*line.split("|")) for line in lines]

    def scancel(self, *jobs: str) -> None:
        """Cancel jobs."""
        if jobs:
            self.run("scancel", *jobs)

    def states(self, job: str) -> list[str]:
        """The state of a job; for an array, the state of each of its tasks."""
        output = self.run("scontrol", "-o", "show", "job", job)
        return [
            word.removeprefix("JobState=")
            for word in output.split()
            if word.startswith("JobState=")
        ]

    def wait_until_ended(self, job: str, *, timeout: float = _PATIENCE_SECONDS) -> list[str]:
        """Wait until a job, or all tasks of an array, have ended; return their states."""
        wait(
            lambda: all(state in _ENDED for state in self.states(job)), f"end of job {job}", timeout
        )
        return self.states(job)

    def wait_until_empty(self, *, timeout: float = _PATIENCE_SECONDS) -> None:
        """Wait until no job waits or runs."""
        wait(lambda: not self.squeue(), "an empty queue", timeout)

    def _idle(self, node: str) -> bool:
        self._check(node)
        done = subprocess.run(
            ["sinfo", "-h", "-n", node, "-o", "%T"], env=self.env, capture_output=True, text=True
        )
        return done.stdout.strip() == "idle"

    def _has(self, daemon: str, file: str) -> bool:
        self._check(daemon)
        return (self.folder / file).exists()

    def _check(self, daemon: str) -> None:
        """Raise an error with a daemon's output if it has ended."""
        if self._daemons[daemon].poll() is not None:
            output = (self.folder / f"{daemon}.out").read_text()
            raise AssertionError(f"{daemon} ended: {output[-2000:]}")

    def _start(self, name: str, command: list[str]) -> None:
        # Daemons end with this process, in whatever way it ends.
        held = shutil.which("setpriv")
        with (self.folder / f"{name}.out").open("ab") as output:
            self._daemons[name] = subprocess.Popen(
                [*([held, "--pdeathsig", "TERM", "--"] if held else []), *command],
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def _munged(self) -> list[str]:
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(128))
        own = {"key-file": key, "socket": "munge.socket", "pid-file": "munged.pid",
               "log-file": "munged.log", "seed-file": "munge.seed"}  # fmt: skip
        return ["munged", "-F", *(f"--{name}={self.folder / file}" for name, file in own.items())]

    def _write_conf(self) -> None:
        ports = free_ports(1 + len(self.nodes))
        gpus = self.folder / "gpus"
        gpus.mkdir()
        for number in range(2):
            # Slurm needs device files, but does not use them.
            (gpus / f"nvidia{number}").symlink_to("/dev/null")
        (self.folder / "state").mkdir()
        conf = _CONF.format(port=ports[0], folder=self.folder, user=getpass.getuser())
        nodes = (_NODE.format(name=n, port=p) for n, p in zip(self.nodes, ports[1:]))
        (self.folder / "slurm.conf").write_text(conf + "".join(nodes) + _PARTITION)
        names = ",".join(self.nodes)
        (self.folder / "gres.conf").write_text(
            f"NodeName={names} Name=gpu File={gpus}/nvidia[0-1]\n"
        )


@contextlib.contextmanager
def running_slurm(folder: Path) -> Iterator[Slurm]:
    """A Slurm of two nodes, which is stopped at the end."""
    slurm = Slurm(folder)
    try:
        slurm.start()
        yield slurm
    finally:
        slurm.stop()


def wait(until: Callable[[], object], what: str, timeout: float = _PATIENCE_SECONDS) -> None:
    """Wait until a condition holds, but at most ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while not until():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout} seconds in vain for {what}")
        time.sleep(0.1)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process by SIGTERM; by SIGKILL if that does not help."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_ports(count: int) -> list[int]:
    """Free ports of the loopback."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
