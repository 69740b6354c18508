"""The time that a batch job is given, and how long its worker therefore lives."""

from __future__ import annotations

import re

# The last tenth of a job, and of a long one this much, is left to end in.
_LONGEST_MARGIN_SECONDS = 300


def walltime_seconds(
    text: str, *, two_numbers: str = "MM:SS", one_number: str = "MM"
) -> int | None:
    """Seconds of a walltime as batch systems write it; None for what is no number.

    Parameters
    ----------
    text : str
        ``D-HH:MM:SS``, ``D-HH``, ``HH:MM:SS``, ``MM:SS`` or a number.
    two_numbers : {"MM:SS", "HH:MM"}
        What ``1:30`` is.
    one_number : {"HH", "MM", "SS"}
        What ``90`` is.

    >>> walltime_seconds("1-00:30:00"), walltime_seconds("90"), walltime_seconds("00:30")
    (88200, 5400, 30)
    """
    found = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text.strip())
    if found is None:
        return None
    days, *numbers = (int(n) if n is not None else None for n in found.groups())
    given = [n for n in numbers if n is not None]
    if days is None and len(given) < 3:
        form = two_numbers if len(given) == 2 else one_number
        given = [0] * ["HH", "MM", "SS"].index(form.split(":")[0]) + given
    hours, minutes, seconds = [*given, 0, 0][:3]
    return (((days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds


def lifetime_settings(seconds: int) -> dict[str, str]:
    """Dask's, for a worker that is to retire, its tasks given to others, before its job is ended.

    Jobs that began together do not end together.

    >>> list(lifetime_settings(3600).values())
    ['3150s', '150s']
    """
    margin = min(seconds // 12, _LONGEST_MARGIN_SECONDS)
    stagger = margin // 2
    return {
        "distributed.worker.lifetime.duration": f"{seconds - margin - stagger}s",
        "distributed.worker.lifetime.stagger": f"{stagger}s",
    }
