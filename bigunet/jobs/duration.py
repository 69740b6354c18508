"""Lengths of time as people and Slurm write them."""

from __future__ import annotations

import math
import re

from bigunet.engine.clusters.walltime import walltime_seconds
from bigunet.errors import OptionError

_UNIT_SECONDS = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86400}
_NUMBER_AND_UNIT = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|m|h|d)?", re.ASCII)


def parse_duration(text: str, *, bare: str) -> int:
    """Seconds of a length of time, rounded up.

    Parameters
    ----------
    text : str
        A number with s, min (or m), h or d, or one of Slurm's own forms: ``MIN:SEC``,
        ``H:MIN:SEC``, ``DAYS-H``, ``DAYS-H:MIN`` or ``DAYS-H:MIN:SEC``.
    bare : str
        The unit of a number that has none.

    Raises
    ------
    OptionError
        If the text has none of these forms, or means no time at all.

    Examples
    --------
    >>> parse_duration("90min", bare="h"), parse_duration("1-12:30", bare="min")
    (5400, 131400)
    """
    if match := _NUMBER_AND_UNIT.fullmatch(text.strip()):
        seconds = math.ceil(float(match[1]) * _UNIT_SECONDS[match[2] or bare])
    else:
        seconds = walltime_seconds(text) or 0
    if not seconds:
        raise OptionError(f"{text!r} is not a length of time; write it as 2h, 90min or 1:30:00")
    return seconds


def clock(seconds: int) -> str:
    """A length of time as Slurm reads it.

    >>> clock(5400), clock(131400)
    ('01:30:00', '1-12:30:00')
    """
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{f'{days}-' if days else ''}{hours:02}:{minutes:02}:{rest:02}"
