"""The model's card: a JSON file that ``bigunet train --card`` reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bigunet.errors import OptionError


def card_in(path: Path | None) -> dict[str, Any]:
    """The content of a card; empty without a path.

    Raises
    ------
    OptionError
        If the file cannot be read, or holds no JSON object.
    """
    if path is None:
        return {}
    try:
        card = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise OptionError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise OptionError(f"{path} is no JSON: {error}") from error
    if not isinstance(card, dict):
        raise OptionError(f"{path} holds {type(card).__name__}; give an object of names and texts")
    return card
