"""The time of a batch job, and the lifetime of its worker within it."""

from __future__ import annotations

import re

# A worker ends in the last part of its job: about an eighth, but of a long job this much.
_LONGEST_MARGIN_SECONDS = 300


def walltime_seconds(
    text: str, *, two_numbers: str = "MM:SS", one_number: str = "MM"
) -> int | None:
    """Seconds of a walltime in the forms of batch systems; None if the text has another form.

    Parameters
    ----------
    text : str
        ``D-HH:MM:SS``, ``D-HH``, ``HH:MM:SS``, ``MM:SS`` or a number.
    two_numbers : {"MM:SS", "HH:MM"}
        Meaning of two numbers, such as ``1:30``.
    one_number : {"HH", "MM", "SS"}
        Meaning of one number, such as ``90``.

    >>> walltime_seconds("1-00:30:00"), walltime_seconds("90"), walltime_seconds("00:30")
    (88200, 5400, 30)
    """
    match = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text.strip())
    if match is None:
        return None
    days, *numbers = (int(n) if n is not None else None for n in match.groups())
    given = [n for n in numbers if n is not None]
    if days is None and len(given) < 3:
        form = two_numbers if len(given) == 2 else one_number
        given = [0] * ["HH", "MM", "SS"].index(form.split(":")[0]) + given
    hours, minutes, seconds = [*given, 0, 0][:3]
    return (((days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds


def lifetime_settings(seconds: int) -> dict[str, str]:
    """Dask's settings for a worker that retires before the end of its job.

    It gives its tasks to other workers. The times vary, so that jobs that began together do not
    end together.

    >>> list(lifetime_settings(3600).values())
    ['3150s', '150s']
    """
    margin = min(seconds // 12, _LONGEST_MARGIN_SECONDS)
    stagger = margin // 2
    return {
        "distributed.worker.lifetime.duration": f"{seconds - margin - stagger}s",
        "distributed.worker.lifetime.stagger": f"{stagger}s",
    }
