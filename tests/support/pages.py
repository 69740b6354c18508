"""The pages of the documentation, as their blocks of code and what is said of them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

_BLOCK = re.compile(
    r"(?:^<!-- (?P<note>[^\n]*) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class CodeBlock:
    """A fenced block of a page.

    Parameters
    ----------
    language : str
        ``python`` and ``console`` are run; ``text`` is what something prints, or a drawing.
    text : str
    not_run : str
        Why it is not run; empty if it is.
    added : tuple of str
        Arguments that the test adds to each command, so that it takes seconds.
    follows : bool
        Whether nothing but an empty line is between the block before and this one.
    """

    language: str
    text: str
    not_run: str = ""
    added: tuple[str, ...] = ()
    follows: bool = False


@dataclass(frozen=True)
class Command:
    """A line of a ``console`` block: the words, and the file that takes what it prints."""

    words: tuple[str, ...]
    printed_to: str = ""


def blocks_of(page: Path) -> list[CodeBlock]:
    """The blocks of a page, in their order."""
    text, end, blocks = page.read_text(), 0, []
    for found in _BLOCK.finditer(text):
        kind, _, rest = (found["note"] or "").partition(": ")
        blocks.append(
            CodeBlock(
                language=found["language"],
                text=found["text"],
                not_run=rest if kind == "not run" else "",
                added=tuple(shlex.split(rest)) if kind == "the test adds" else (),
                follows=bool(blocks) and not text[end : found.start()].strip(),
            )
        )
        end = found.end()
    return blocks


def commands_of(block: CodeBlock) -> Iterator[Command]:
    """The commands of a block, with the arguments that the test adds."""
    for line in block.text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if not words:
            continue
        printed_to = ""
        if ">" in words:
            where = words.index(">")
            words, (printed_to,) = words[:where], words[where + 1 :]
        yield Command((*words, *block.added), printed_to)
