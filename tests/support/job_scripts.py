"""Job scripts with small numbers and difficult words."""

from __future__ import annotations

import shlex
import sys
from typing import Any

from bigunet.jobs.programs import Programs
from bigunet.jobs.request import JobRequest
from bigunet.jobs.script import JobText, script_text
from bigunet.jobs.size import JobSize

SIZE = JobSize(
    jobs=3, walltime_seconds=3600, memory_mib=2000, cpus=2, lead_seconds=60, part_seconds=900
)
LEDGERS = "the out's"
PROGRAMS = Programs("bigunet", "dask", shlex.quote(sys.executable))
NASTY = [
    "a b",
    "it's",
    '"$HOME"',
    "`id`",
    "$(touch x)",
    "new\nline",
    "back\\slash",
    "",
    "!!",
    "é;&|",
    "{{ size }}",
]


def array_script(*words: str, **fields: Any) -> str:
    """The script of an array of three jobs."""
    return script_text(JobRequest(**fields), SIZE, _text(words), PROGRAMS)


def dask_script(*words: str, resume: bool = False, **fields: Any) -> str:
    """The script of a job of three nodes."""
    request = JobRequest(way="dask", **fields)
    return script_text(request, SIZE, _text(words), PROGRAMS, resume=resume)


def _text(words: tuple[str, ...]) -> JobText:
    return JobText("What it does, even\nwith 'lines'", words, ["note"], LEDGERS)
