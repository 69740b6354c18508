"""The text of a Slurm script: from words and numbers alone; reads nothing, runs nothing."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from bigunet.engine.clusters.worker_settings import SETTINGS, THREADS_PER_WORKER, exports
from bigunet.jobs.bash import (
    ASKING,
    FOLDER,
    PROGRESS,
    QUIET,
    REQUEUE,
    SCHEDULER_READY,
    STARTED,
    WAITING,
    WATCHING,
    WORKER_READY,
)
from bigunet.jobs.duration import clock
from bigunet.jobs.request import JobRequest
from bigunet.jobs.size import JobSize

_BEGUN = "begin=(--resume)\n"
_BEGIN = """\
begin=()
# One that was queued again may have begun already.
if [ "${SLURM_RESTART_COUNT:-0}" != 0 ]; then begin=(--resume); fi
"""


@dataclass(frozen=True, slots=True)
class Commands:
    """How the programs are called, as words of bash.

    Parameters
    ----------
    bigunet, dask, python : str
    """

    bigunet: str
    dask: str
    python: str


@dataclass(frozen=True, slots=True)
class JobText:
    """What all scripts say.

    Parameters
    ----------
    title : str
        What the job does.
    words : sequence of str
        After ``bigunet segment``.
    notes : sequence of str
        Where the numbers come from.
    ledgers : str
        Path of the folder that has them.
    """

    title: str
    words: Sequence[str]
    notes: Sequence[str]
    ledgers: str


def array_script(request: JobRequest, size: JobSize, text: JobText, commands: Commands) -> str:
    """A job array whose jobs are the parts of a run."""
    directives = [
        f"--array=1-{size.jobs}",
        "--nodes=1",
        "--ntasks=1",
        *_directives(request, size, log="%A_%a"),
    ]
    segment = _command(f"{commands.bigunet} segment", text.words)
    return _joined(
        _head(text, directives),
        _environment(request.environment),
        ASKING,
        PROGRESS.format(folder=shlex.quote(text.ledgers)),
        f'{segment} \\\n    --part="$SLURM_ARRAY_TASK_ID/{size.jobs}" &\n{STARTED}{WAITING}',
        _requeue(request, job="${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}", again=""),
    )


def dask_script(
    request: JobRequest, size: JobSize, text: JobText, commands: Commands, *, resume: bool
) -> str:
    """One job of several nodes: Dask's scheduler and the command on the first, workers on all.

    Parameters
    ----------
    request, size, text, commands
    resume : bool
        Whether the job may go on with an output when it was not queued again, too.
    """
    directives = [
        f"--nodes={size.jobs}",
        "--ntasks-per-node=1",
        *_directives(request, size, log="%j"),
    ]
    network = f" --interface {shlex.quote(request.interface)}" if request.interface else ""
    # The loopback, for what answers over HTTP in the clear.
    common = (
        f'--scheduler-file "$folder/scheduler.json" --protocol tls{network} \\\n'
        "    --no-dashboard --dashboard-address 127.0.0.1:0"
    )
    scheduler = (
        "# What Dask has to say is of use only where something goes wrong.\n"
        f"log=${{SLURM_SUBMIT_DIR:-$PWD}}/{request.name}-$SLURM_JOB_ID-dask.log\n"
        f"{commands.dask} scheduler \\\n    {common} --port 0 "
        f'>>"$log" 2>&1 &\n{SCHEDULER_READY}'
    )
    segment = _command(f"{commands.bigunet} segment", text.words)
    shared = f" --workers={request.processes}" if request.processes > 1 else ""
    settings = ("# As for the workers that bigunet starts itself.", *exports(SETTINGS), QUIET)
    return _joined(
        _head(text, directives),
        _environment(request.environment),
        ASKING,
        FOLDER,
        _lines(*settings),
        scheduler,
        _workers(request, size, commands, common),
        PROGRESS.format(folder=shlex.quote(text.ledgers)),
        _BEGUN if resume else _BEGIN,
        f'{segment} \\\n    --scheduler="$folder/scheduler.json"{shared} "${{begin[@]}}" &\n'
        f"{STARTED}{WATCHING}{WAITING}",
        _requeue(request, job="$SLURM_JOB_ID", again=", printed with --resume"),
    )


def _workers(request: JobRequest, size: JobSize, commands: Commands, common: str) -> str:
    # Each takes the cores that it sees, and Slurm ends what takes too much memory.
    kind = (
        f"{commands.dask} cuda worker"
        if request.gpus
        else f"{commands.dask} worker --nworkers {request.processes}"
    )
    return (
        f'srun --ntasks="$SLURM_JOB_NUM_NODES" --ntasks-per-node=1 \\\n    '
        '--cpus-per-task="$SLURM_CPUS_PER_TASK" --kill-on-bad-exit=0 \\\n'
        f"    {kind} \\\n    {common} \\\n"
        f"    --nthreads {THREADS_PER_WORKER} --memory-limit 0 --death-timeout 120 "
        '--local-directory "${TMPDIR:-/tmp}" >>"$log" 2>&1 &\n'
        "workers=$!\n"
    ) + (WORKER_READY.format(python=commands.python) if request.gpus else "")


def _requeue(request: JobRequest, *, job: str, again: str) -> str:
    # A path of a container may be another one outside, where nothing would ever be finished.
    known = ' && [ "$done_before" != 0 ]' if request.prefix else ""
    return REQUEUE.format(job=job, again=again, known=known)


def _directives(request: JobRequest, size: JobSize, *, log: str) -> list[str]:
    """What both ways ask for."""
    optional = {
        "partition": request.partition,
        "account": request.account,
        "gres": f"gpu:{request.gpus}" if request.gpus else "",
    }
    return [
        f"--job-name={request.name}",
        f"--output={request.name}-{log}.log",
        "--open-mode=append",
        *(f"--{name}={value}" for name, value in optional.items() if value),
        f"--cpus-per-task={size.cpus}",
        f"--mem={size.memory_mib}M",
        f"--time={clock(size.walltime_seconds)}",
        f"--signal=B:USR1@{size.lead_seconds}",
        "--requeue",
        *request.directives,
    ]


def _head(text: JobText, directives: Sequence[str]) -> str:
    told = [text.title, *text.notes]
    return _lines(
        "#!/bin/bash",
        *(f"# {_on_one_line(line)}" for line in told),
        "#",
        *(f"#SBATCH {directive}" for directive in directives),
    )


def _environment(lines: Sequence[str]) -> str:
    return _lines(
        "# The environment: module load, conda activate, export go here, or are given with --env.",
        *lines,
        "# (end of the environment)",
        "# A wait that a signal ends has a code, too, and must not end this script.",
        "set +eu",
    )


def _command(program: str, words: Sequence[str]) -> str:
    """A command, each of whose words bash reads as it is."""
    return " \\\n    ".join([program, *map(shlex.quote, words)])


def _on_one_line(text: str) -> str:
    """No line break of a path may end a comment."""
    return " ".join(text.split())


def _lines(*lines: str) -> str:
    return "\n".join(lines) + "\n"


def _joined(*sections: str) -> str:
    return "\n".join(sections)
