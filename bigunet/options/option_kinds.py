"""Kinds of option values: each reads a value from text, writes it as text, and checks it."""

from __future__ import annotations

import numbers
import operator
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast, get_args

from bigunet.errors import OptionError
from bigunet.options.choices import Existing


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

    def data(self, value: Any) -> Any:
        """The value as files of options hold it, in texts, numbers, lists and tables.

        :meth:`check` reads it back.
        """
        return _data(value)

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
    """The path or URL of an image; the command line makes it absolute."""


class ModelPath(Path):
    """The name of a bundled model, or the path of a model file; empty for none."""

    metavar = "NAME|PATH"


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


class Share(Number):
    """A number above 0, and 1 at most."""

    def check(self, value: Any, name: str) -> float:
        share = float(super().check(value, name))
        if not 0 < share <= 1:
            raise OptionError(f"{name} {value}: give a number above 0, and 1 at most")
        return share


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


def _data(value: Any) -> Any:
    return [*map(_data, value)] if isinstance(value, tuple) else value


def check_existing(value: Any) -> Existing:
    """The value, where it says what to do with an output that is there.

    Raises
    ------
    OptionError
        If it is another word.
    """
    return cast(Existing, Choice(Existing).check(value, "existing"))


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
