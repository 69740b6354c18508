"""What a message says of options that differ from those of an earlier run, in flags as typed."""

from __future__ import annotations

import ast
import contextlib
import re

import click

from bigunet.errors import BigUNetError
from bigunet.options.option_kinds import Flag, Kind

# `option NAME was OLD, is NEW`, or `option NAME.PART was …`, as ledgers write it. A value that was
# chosen for an option stands there without the word.
_CHANGE = re.compile(
    r"\b(?:option (?P<name>[a-z_]+)|(?P<chosen>block_shape|tile_shape|channels|model))"
    r"(?:\.(?P<part>\w+))? was (?P<before>.*?), is (?P<now>.*?)"
    r"(?=; |, option |\. Give )"
)


def with_flags(message: str, command: click.Command) -> str:
    """The message with flags of a command in the place of names of options of Python.

    Parameters
    ----------
    message : str
        Of an error: ``cannot resume …: option grey_range was [], is [[1, 5]]. Give …``.
    command : click.Command
        The command that was typed; an option that it does not have keeps its name.
    """
    params = {param.name: param for param in command.params if isinstance(param, click.Option)}

    def said(change: re.Match[str]) -> str:
        param = params.get(change["name"] or change["chosen"])
        if param is None:
            return change[0]
        kind = None if change["part"] else getattr(param, "kind", None)
        flag = " ".join(filter(None, (param.opts[0], change["part"])))
        before, now = (_typed(change[key], kind) for key in ("before", "now"))
        return f"{flag} was {before}, is {now}"

    return _CHANGE.sub(said, message)


def _typed(text: str, kind: Kind | None) -> str:
    """A value of a ledger as it would be typed; unchanged if it cannot be."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    if isinstance(kind, Flag):
        return "given" if value else "not given"
    if value is None or value in ("", [], {}):
        return "not given"
    if kind is None:
        return ":".join(map(str, value)) if isinstance(value, list) else str(value)
    with contextlib.suppress(BigUNetError, ValueError, TypeError):
        return " ".join(kind.show(item) for item in kind.items(kind.check(value, "")))
    return text
