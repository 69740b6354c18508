"""Checks the type of an option's value, so that a mistake in Python gives a one-line error."""

from __future__ import annotations

import math
import numbers
import operator
import os
from collections.abc import Mapping, Sequence
from typing import Any

from bigunet.errors import OptionError


def whole(value: Any, name: str) -> int:
    """The value as an int, if it is a whole number of any type."""
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)
    except TypeError as error:
        raise _wrong(name, value, "a whole number") from error


def wholes(value: Any, name: str) -> tuple[int, ...]:
    """The value as a tuple of ints, if it is a sequence of whole numbers."""
    return tuple(whole(n, name) for n in listed(value, name, "whole numbers, such as (512, 512)"))


def number(value: Any, name: str) -> float:
    """The value, if it is a finite number that a float can hold; integers stay integers."""
    plain = isinstance(value, numbers.Real) and not isinstance(value, bool)
    try:
        if plain and math.isfinite(value):
            return operator.index(value) if isinstance(value, numbers.Integral) else float(value)
    except OverflowError:
        pass
    raise _wrong(name, value, "finite numbers")


def pair(value: Any, name: str) -> tuple[float, float]:
    """The value as a pair, if it is two finite numbers."""
    items = listed(value, name, "two numbers")
    if len(items) != 2:
        raise _wrong(name, value, "two numbers")
    return number(items[0], name), number(items[1], name)


def listed(value: Any, name: str, what: str) -> tuple[Any, ...]:
    """The items of a list, tuple or array. Text is refused: its letters would count as items."""
    if isinstance(value, (str, bytes, Mapping)) or not (
        isinstance(value, Sequence) or hasattr(value, "__array__")
    ):
        raise _wrong(name, value, f"a tuple of {what}")
    try:
        return tuple(value)
    except TypeError as error:
        raise _wrong(name, value, f"a tuple of {what}") from error


def path(value: Any, name: str) -> str:
    """The value as text, if it is a path or URL; empty for none."""
    if not isinstance(value, (str, os.PathLike)):
        raise _wrong(name, value, "a path, or an empty text for none")
    text = os.fspath(value)
    if not isinstance(text, str):
        raise _wrong(name, value, "a path as text")
    return text


def text(value: Any, name: str) -> str:
    """The value, if it is text."""
    if not isinstance(value, str):
        raise _wrong(name, value, "text")
    return value


def flag(value: Any, name: str) -> bool:
    """The value, if it is True or False."""
    if not isinstance(value, bool):
        raise _wrong(name, value, "True or False")
    return value


def ranges(value: Any, name: str) -> dict[str, tuple[int, int]]:
    """The value as a dict, if it has start and stop for each axis."""
    if not isinstance(value, Mapping):
        raise _wrong(name, value, 'a mapping such as {"x": (0, 512)}')
    by_axis = {}
    for axis, ends in value.items():
        both = wholes(ends, f"{name} {axis}")
        if len(both) != 2:
            raise _wrong(f"{name} {axis}", ends, "START and STOP")
        by_axis[text(axis, name)] = (both[0], both[1])
    return by_axis


def _wrong(name: str, value: Any, expected: str) -> OptionError:
    shown = repr(value)
    shown = shown if len(shown) <= 60 else f"{shown[:60]}…"
    return OptionError(f"{name} is {' '.join(shown.split())}: give {expected}")
