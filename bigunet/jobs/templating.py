"""How the text of a script is made from a template; knows nothing of what scripts do.

Templates are bash with Jinja's tags, in the folder ``templates``. Each value that goes into one
becomes a word of bash, so that no value can be read as a command; the filter ``bash`` marks text
that is bash already, such as a line that the user gives for the environment.
"""

from __future__ import annotations

import shlex
from importlib.resources import files

from jinja2 import BaseLoader, ChoiceLoader, Environment, FunctionLoader, StrictUndefined

from bigunet.jobs.duration import clock


class Bash(str):
    """Text that goes into a script as it is."""

    __slots__ = ()


def script_templates(more: BaseLoader | None = None) -> Environment:
    """The templates of job scripts, by name: ``script_templates().get_template("slurm.sh.in")``.

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
    """The rest of a comment: no line break, after which bash would read commands."""
    return Bash(" ".join(text.split()))
