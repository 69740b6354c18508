"""Fields of a description, each checked for its type."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bigunet.errors import ModelError
from bigunet.model.brief import brief

_MICROMETRES = {
    "micrometer": 1.0,
    "nanometer": 1e-3,
    "millimeter": 1e3,
    "meter": 1e6,
    "centimeter": 1e4,
    "angstrom": 1e-4,
    "picometer": 1e-6,
}


def mapping(value: object, what: str) -> Mapping[str, Any]:
    """A mapping; ModelError for anything else."""
    if not isinstance(value, Mapping):
        raise ModelError(f"{what} is {brief(value)}, and should be a mapping")
    return value


def items(value: object, what: str) -> Sequence[Any]:
    """A list; ModelError for anything else."""
    if not isinstance(value, list):
        raise ModelError(f"{what} is {brief(value)}, and should be a list")
    return value


def number(value: object, what: str) -> float:
    """A finite number; ModelError for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ModelError(f"{what} is {brief(value)}, and should be a number")
    return float(value)


def text(value: object, what: str) -> str:
    """A short text; ModelError for anything else."""
    if not isinstance(value, str) or len(value) > 10_000:
        raise ModelError(f"{what} is {brief(value)}, and should be a text")
    return value


def size_um(scale: object, unit: object) -> float | None:
    """Micrometres of a voxel; None if the unit is no length."""
    factor = _MICROMETRES.get(str(unit))
    if factor is None:
        return None
    size = number(scale, "the scale of an axis") * factor
    return size if size > 0 else None


def card_of(data: Mapping[str, Any]) -> dict[str, str]:
    """What a package says for people, in the words of bigunet's cards."""
    card = {}
    for ours, theirs in (("licence", "license"), ("data", "description"), ("source", "git_repo")):
        if isinstance(data.get(theirs), str):
            card[ours] = str(data[theirs])
    names = [
        str(one["name"])
        for one in data.get("authors") or []
        if isinstance(one, Mapping) and isinstance(one.get("name"), str)
    ]
    if names:
        card["authors"] = ", ".join(names)
    cited = [
        " ".join(str(one[key]) for key in ("text", "doi", "url") if one.get(key))
        for one in data.get("cite") or []
        if isinstance(one, Mapping)
    ]
    if cited:
        card["citation"] = "; ".join(cited)
    return card
