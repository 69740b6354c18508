"""Writes ``docs/refusals.md`` from what bigunet prints: ``python tests/refusals/page.py``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from refusals import (
    channels,
    command_line,
    grey_values,
    images_and_axes,
    labels,
    looking,
    networks,
    running,
    stores,
)
from refusals.case import Case, outcome_of

PAGE = Path(__file__).parents[2] / "docs" / "refusals.md"
GROUPS = {
    "Images and axes": images_and_axes.CASES,
    "Channels": channels.CASES,
    "Grey values and voxel sizes": grey_values.CASES,
    "Stores and files": stores.CASES,
    "Networks and models": networks.CASES,
    "Training labels and truths": labels.CASES,
    "Running and resuming": running.CASES,
    "Looking at results": looking.CASES,
    "The command line": command_line.CASES,
}
_HEAD = """\
# What bigunet refuses, and why

Wrong labels that nobody notices are the worst that a scientific program can give. Where it is
unclear what you mean, bigunet does not guess: it ends with one line. The line says what was wrong,
with the values, and what to do. Almost all lines come before anything is written. The exit code is
1, or 2 if the command line itself is wrong. A **warning** is one line, too; the run goes on, and
`--json` repeats the line.

Tests run each case below, and this page quotes what bigunet printed. It is written anew by
`python tests/refusals/page.py`.
"""


def page() -> str:
    """The whole page."""
    listed = (f"- [{name}](#{name.lower().replace(' ', '-')})" for name in GROUPS)
    groups = (part for name, cases in GROUPS.items() for part in _group(name, cases))
    return "\n".join([_HEAD, *listed, "", *groups])


def _group(name: str, cases: tuple[Case, ...]) -> Iterator[str]:
    yield f"## {name}\n"
    for case in cases:
        yield from _entry(case)


def _entry(case: Case) -> Iterator[str]:
    lines = outcome_of(case).lines
    yield f"**{case.brings}**\n"
    if case.script:
        yield f"```python\n{case.script.strip()}\n```\n"
        yield f"```\n{lines[-1]}\n```\n"
    else:
        yield "\n".join(["```", f"$ bigunet {case.command}", *lines, "```\n"])
    yield f"Why: {case.why}\nWhat to do: {case.instead}\n"


if __name__ == "__main__":
    PAGE.write_text(page())
