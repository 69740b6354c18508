"""The model's card: a JSON file that ``bigunet train --card`` reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from bigunet.errors import OptionError


class CardFile(click.Path):
    """A JSON file; a file of options may hold the card itself, as a table."""

    table = True

    def __init__(self) -> None:
        super().__init__(dir_okay=False, path_type=Path)

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        return value if isinstance(value, Mapping) else super().convert(value, param, ctx)


def card_in(path: Path | Mapping[str, Any] | None) -> dict[str, Any]:
    """The content of a card; empty without a path.

    Raises
    ------
    OptionError
        If the file cannot be read, or holds no JSON object.
    """
    if path is None or isinstance(path, Mapping):
        return dict(path or {})
    try:
        card = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise OptionError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise OptionError(f"{path} is no JSON: {error}") from error
    if not isinstance(card, dict):
        raise OptionError(f"{path} holds {type(card).__name__}; give an object of names and texts")
    return card
