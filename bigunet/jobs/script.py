"""The text of a Slurm script, from words and numbers alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bigunet.engine.clusters.worker_settings import SETTINGS, THREADS_PER_WORKER, exports
from bigunet.jobs.programs import Programs
from bigunet.jobs.request import JobRequest
from bigunet.jobs.size import JobSize
from bigunet.jobs.templating import script_templates


@dataclass(frozen=True, slots=True)
class JobText:
    """The words of a script.

    Parameters
    ----------
    title : str
        What the job does.
    words : sequence of str
        The words after ``bigunet segment``, as the command should receive them.
    notes : sequence of str
        Where the numbers of the script come from.
    ledgers : str
        Path of the folder that holds the ledgers of the run.
    """

    title: str
    words: Sequence[str]
    notes: Sequence[str]
    ledgers: str


def script_text(
    request: JobRequest,
    size: JobSize,
    text: JobText,
    programs: Programs,
    *,
    resume: bool = False,
) -> str:
    """A script for sbatch: a job array, or one job of several nodes that Dask connects.

    Parameters
    ----------
    request, size, text, programs
    resume : bool
        Whether the job of ``--way dask`` continues an output also when Slurm starts it for the
        first time. Jobs of an array always do.
    """
    return (
        script_templates()
        .get_template("slurm.sh.in")
        .render(
            request=request,
            size=size,
            text=text,
            programs=programs,
            resume=resume,
            settings=exports(SETTINGS),
            threads=THREADS_PER_WORKER,
        )
    )
