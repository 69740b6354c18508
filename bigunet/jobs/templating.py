"""Fills the templates of scripts; it does not know what the scripts do.

Templates are bash with tags of Jinja, in the folder ``templates``. Each value becomes one word of
bash, so that bash never reads it as a command. Two filters are exceptions: ``bash`` is for text
that is bash already, such as a line for the environment; ``comment`` is for the rest of a comment.
"""

from __future__ import annotations

import shlex
from importlib.resources import files

from jinja2 import BaseLoader, ChoiceLoader, Environment, FunctionLoader, StrictUndefined

from bigunet.jobs.duration import clock


class Bash(str):
    """Text that is bash already, and goes into a script unchanged."""

    __slots__ = ()


def script_templates(more: BaseLoader | None = None) -> Environment:
    """The templates of job scripts.

    Parameters
    ----------
    more : jinja2.BaseLoader, optional
        Further templates, which may include those of bigunet.

    Examples
    --------
    >>> script_templates().from_string("ls {{ name }}").render(name="a b; rm c")
    "ls 'a b; rm c'"
    """
    bundled = FunctionLoader(_read)
    environment = Environment(
        loader=bundled if more is None else ChoiceLoader([bundled, more]),
        # A name that has no value is an error, not an empty word.
        undefined=StrictUndefined,
        finalize=_word,
        # A line that holds nothing but a tag leaves nothing in the script.
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(bash=Bash, clock=clock, comment=_comment)
    return environment


def _read(name: str) -> str | None:
    path = files("bigunet.jobs").joinpath("templates", name)
    return path.read_text("utf-8") if path.is_file() else None


def _word(value: object) -> str:
    return value if isinstance(value, Bash) else shlex.quote(str(value))


def _comment(text: str) -> Bash:
    """Text on one line: after a line break, bash would read commands."""
    return Bash(" ".join(text.split()))
