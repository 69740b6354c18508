"""Runs that are ended again and again between two blocks, and go on each time."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bigunet.events import BlockDone


class Ended(Exception):
    """Ends a run from its events."""


def interrupted(segment: Callable[..., Any], output: Path, ends: Sequence[int]) -> None:
    """Write an output in several runs, of which all but the last are ended.

    Parameters
    ----------
    segment : callable
        Takes the output, ``existing`` and ``on_event``.
    output : Path
        What is there is removed first.
    ends : sequence of int
        Blocks of all stages that each run does before it is ended.
    """
    shutil.rmtree(output, ignore_errors=True)
    for end in ends:
        left = [end]

        def count(event: Any, left: list[int] = left) -> None:
            left[0] -= isinstance(event, BlockDone)
            if left[0] < 0:
                raise Ended

        with contextlib.suppress(Ended):
            segment(output, existing="resume", on_event=count)
    segment(output, existing="resume")
