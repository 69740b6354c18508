"""Kinds of option values: each reads a value from text, writes it as text, and checks it."""

from __future__ import annotations

import math
import numbers
import operator
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from bigunet.errors import OptionError


class Kind:
    """A kind of values. ``parse`` raises ValueError, ``check`` raises OptionError."""

    metavar: str = "TEXT"
    """How ``--help`` writes a value of this kind."""
    doc: str = "str"
    """How a docstring names the type."""
    is_repeated: bool = False
    """Whether the flag may be given several times, an item each time."""

    def parse(self, text: str) -> Any:
        """The value, or the item of a repeated flag, that a text of the command line means."""
        return text

    def show(self, value: Any) -> str:
        """The text that :meth:`parse` reads as this value or item."""
        return str(value)

    def check(self, value: Any, name: str) -> Any:
        """The value in its plain type; OptionError in one line if it is of another kind."""
        raise NotImplementedError

    def gather(self, items: Sequence[Any], flag: str) -> Any:
        """The value that the items of a repeated flag make up."""
        return tuple(items)

    def items(self, value: Any) -> Iterable[Any]:
        """What is shown of a value, with one flag each."""
        return value if self.is_repeated else (value,)


class Text(Kind):
    """Any text."""

    def check(self, value: Any, name: str) -> str:
        if not isinstance(value, str):
            raise not_of_kind(name, value, "text")
        return value


class Path(Kind):
    """A path or URL as text; empty for none."""

    metavar = "PATH"

    def check(self, value: Any, name: str) -> str:
        if not isinstance(value, (str, os.PathLike)):
            raise not_of_kind(name, value, "a path, or an empty text for none")
        text = os.fspath(value)
        if not isinstance(text, str):
            raise not_of_kind(name, value, "a path as text")
        return text


class ImagePath(Path):
    """The path or URL of an image, which the command line makes absolute."""


class Flag(Kind):
    """True or False: the flag is given, or it is not."""

    doc = "bool"

    def check(self, value: Any, name: str) -> bool:
        if not isinstance(value, bool):
            raise not_of_kind(name, value, "True or False")
        return value


@dataclass(frozen=True)
class Whole(Kind):
    """A whole number; the command line takes none below ``least``."""

    least: int | None = None
    metavar = "N"
    doc = "int"

    def parse(self, text: str) -> int:
        return int(text)

    def check(self, value: Any, name: str) -> int:
        try:
            if isinstance(value, bool):
                raise TypeError
            return operator.index(value)
        except TypeError as error:
            raise not_of_kind(name, value, "a whole number") from error


class Number(Kind):
    """A number; in Python, integers stay integers, however large."""

    metavar = "NUMBER"
    doc = "float"

    def parse(self, text: str) -> float:
        return float(text)

    def show(self, value: Any) -> str:
        return repr(value)

    def check(self, value: Any, name: str) -> float:
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise not_of_kind(name, value, "a number")
        return operator.index(value) if isinstance(value, numbers.Integral) else float(value)


@dataclass(frozen=True)
class Choice(Kind):
    """One of the words of a Literal; ``noun`` is what a message calls an unknown one."""

    literal: Any
    noun: str = ""

    @property
    def words(self) -> tuple[str, ...]:
        return get_args(self.literal)

    @property
    def doc(self) -> str:  # type: ignore[override]
        return "{" + ", ".join(f'"{word}"' for word in self.words) + "}"

    def check(self, value: Any, name: str) -> str:
        if isinstance(value, str) and value in self.words:
            return value
        what = f"unknown {self.noun} {value!r:.60}" if self.noun else f"{name} is {value!r:.60}"
        raise OptionError(f"{' '.join(what.split())}; known: {', '.join(self.words)}")


@dataclass(frozen=True)
class Optional(Kind):
    """A value of another kind, or None."""

    kind: Kind

    @property
    def metavar(self) -> str:  # type: ignore[override]
        return self.kind.metavar

    @property
    def doc(self) -> str:  # type: ignore[override]
        return f"{self.kind.doc} or None"

    def parse(self, text: str) -> Any:
        return self.kind.parse(text)

    def show(self, value: Any) -> str:
        return self.kind.show(value)

    def check(self, value: Any, name: str) -> Any:
        return None if value is None else self.kind.check(value, name)


@dataclass(frozen=True)
class Each(Kind):
    """A tuple of values of one kind, with a flag for each; ``example`` is one such tuple."""

    kind: Kind
    example: str
    is_repeated = True

    @property
    def metavar(self) -> str:  # type: ignore[override]
        return self.kind.metavar

    @property
    def doc(self) -> str:  # type: ignore[override]
        return f"tuple of {self.kind.doc}"

    def parse(self, text: str) -> Any:
        return self.kind.parse(text)

    def show(self, value: Any) -> str:
        return self.kind.show(value)

    def check(self, value: Any, name: str) -> tuple[Any, ...]:
        return tuple(self.kind.check(item, name) for item in items_of(value, name, self.example))


@dataclass(frozen=True)
class Commas(Kind):
    """A tuple of numbers of one kind, in one text, with commas between them."""

    kind: Kind
    noun: str
    example: str
    metavar = "N,N[,N]"

    @property
    def doc(self) -> str:  # type: ignore[override]
        return f"tuple of {self.kind.doc}"

    def parse(self, text: str) -> tuple[Any, ...]:
        try:
            return tuple(self.kind.parse(part) for part in text.split(","))
        except ValueError:
            raise ValueError(
                f"{text!r} is not {self.noun} separated by commas, like {self.example}"
            ) from None

    def show(self, value: Any) -> str:
        return ",".join(map(self.kind.show, value))

    def check(self, value: Any, name: str) -> tuple[Any, ...]:
        example = f"({self.example.replace(',', ', ')})"
        items = items_of(value, name, f"{self.noun}, such as {example}")
        return tuple(self.kind.check(item, name) for item in items)


@dataclass(frozen=True)
class Pair(Kind):
    """Two finite numbers, with a colon between them; integers stay integers, however large."""

    metavar: str = "LOW:HIGH"
    may_be_empty: bool = False
    doc = "(float, float)"

    def parse(self, text: str) -> tuple[float, float]:
        try:
            low, high = map(_int_or_float, text.split(":"))
        except ValueError:
            raise ValueError(f"{text!r} is not {self.metavar}, like 1:99.8") from None
        return low, high

    def show(self, value: Any) -> str:
        return f"{value[0]!r}:{value[1]!r}"

    def check(self, value: Any, name: str) -> tuple[float, ...]:
        items = items_of(value, name, "two numbers")
        if not items and self.may_be_empty:
            return ()
        if len(items) != 2:
            raise not_of_kind(name, value, "two numbers")
        return finite(items[0], name), finite(items[1], name)


def _int_or_float(text: str) -> float:
    try:
        return int(text)
    except ValueError:
        return float(text)


def finite(value: Any, name: str) -> float:
    """The value, where it is a finite number that a float can hold; integers stay integers."""
    try:
        number = Number().check(value, name)
        if math.isfinite(number):
            return number
    except (OptionError, OverflowError):
        pass
    raise not_of_kind(name, value, "finite numbers")


def items_of(value: Any, name: str, example: str) -> tuple[Any, ...]:
    """The items of a list or tuple; a text has none, as its letters would be taken for items."""
    if isinstance(value, (str, bytes, Mapping)) or not (
        isinstance(value, Sequence) or hasattr(value, "__array__")
    ):
        raise not_of_kind(name, value, f"a tuple of {example}")
    try:
        return tuple(value)
    except TypeError as error:
        raise not_of_kind(name, value, f"a tuple of {example}") from error


def not_of_kind(name: str, value: Any, expected: str) -> OptionError:
    """The error about a value of another kind, in one line."""
    shown = repr(value)
    shown = shown if len(shown) <= 60 else f"{shown[:60]}…"
    return OptionError(f"{name} is {' '.join(shown.split())}: give {expected}")
