"""Representations of one line for classes with many fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from typing import Any

_LONGEST = 160


def changed_repr(described: Any) -> str:
    """The call that makes a dataclass, with the fields alone that differ from their defaults.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Options:
    ...     level: int = 0
    ...     axes: str = ""
    ...     __repr__ = changed_repr
    >>> Options(), Options(level=1)
    (Options(), Options(level=1))
    """
    changed = (
        f"{one.name}={getattr(described, one.name)!r}"
        for one in fields(described)
        if getattr(described, one.name) != _default(one)
    )
    return f"{type(described).__name__}({', '.join(changed)})"


def line_repr(described: object, *parts: str) -> str:
    """The name of the class and a few words, in one line that is not too long.

    >>> line_repr(1.5, "name", "", "2 classes")
    '<float: name; 2 classes>'
    """
    text = "; ".join(part for part in parts if part)
    short = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 2]} …"
    return f"<{type(described).__name__}: {' '.join(short.split())}>"


def shown_shares(shares: Mapping[str, float]) -> str:
    """Shares of classes in per cent.

    >>> shown_shares({"background": 0.75, "cell": 0.25})
    'background 75.0%, cell 25.0%'
    """
    return ", ".join(f"{name} {share:.1%}" for name, share in shares.items())


def shown_names(names: tuple[str, ...]) -> str:
    """Names, without those in the middle of a long list.

    >>> shown_names(("a", "b"))
    'a, b'
    """
    return ", ".join(names) if len(names) <= 6 else f"{', '.join(names[:4])} … {names[-1]}"


def counted(number: int, noun: str) -> str:
    """A number of things.

    >>> counted(1, "block"), counted(2, "block")
    ('1 block', '2 blocks')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def shown_shape(shape: tuple[int, ...]) -> str:
    """A shape as people write it.

    >>> shown_shape((2, 400, 300))
    '2 × 400 × 300'
    """
    return " × ".join(map(str, shape))


def _default(one: Field[Any]) -> Any:
    if one.default is not MISSING:
        return one.default
    return MISSING if one.default_factory is MISSING else one.default_factory()
