"""Options as TOML: their values by name, and the text of a file that a command reads again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import tomli_w

from bigunet.options.option_fields import option_fields
from bigunet.options.option_kinds import Path
from bigunet.urls import shown_url

NOT_IN_FILES = frozenset({"trust"})
"""Options that no file may give: whoever runs a file of others must not trust what it names."""


def toml_values(described: Any, *, always: Collection[str] = ()) -> dict[str, Any]:
    """The options that differ from their defaults, as TOML holds them.

    ``type(described)(**toml_values(described))`` equals ``described``, but for `NOT_IN_FILES`, and
    for passwords and tokens of addresses, which are left out. An option that is
    None is left out, too: TOML has no None.

    Parameters
    ----------
    described : dataclass of options
    always : collection of str
        Names of options that are written in any case.
    """
    values = {}
    for one in option_fields(type(described)):
        value = getattr(described, one.name)
        if (
            one.name in NOT_IN_FILES
            or value is None
            or (value == one.default and one.name not in always)
        ):
            continue
        data = one.kind.data(value)
        values[one.name] = shown_url(data) if isinstance(one.kind, Path) else data
    return values


def toml_text(values: Mapping[str, Any], *, about: str) -> str:
    """The text of a TOML file, below lines of comments.

    Parameters
    ----------
    values : mapping
        Texts, numbers, lists and tables; None is left out.
    about : str
        The comments, a line each.
    """
    comments = "".join(f"# {line}\n" for line in about.splitlines())
    kept = {name: value for name, value in values.items() if value is not None}
    return f"{comments}\n{tomli_w.dumps(kept)}"
