"""Kinds of option values made of other kinds: optional, repeated, and several in one text."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from bigunet.errors import OptionError
from bigunet.options.option_kinds import Kind, Number, items_of, not_of_kind


@dataclass(frozen=True)
class _Wrapped(Kind):
    """A kind with the texts of another kind."""

    kind: Kind

    @property
    def metavar(self) -> str:  # type: ignore[override]
        return self.kind.metavar

    def parse(self, text: str) -> Any:
        return self.kind.parse(text)

    def show(self, value: Any) -> str:
        return self.kind.show(value)

    def data(self, value: Any) -> Any:
        return self.kind.data(value)


@dataclass(frozen=True)
class Optional(_Wrapped):
    """A value of another kind, or None."""

    @property
    def doc(self) -> str:  # type: ignore[override]
        return f"{self.kind.doc} or None"

    def check(self, value: Any, name: str) -> Any:
        return None if value is None else self.kind.check(value, name)


@dataclass(frozen=True)
class Each(_Wrapped):
    """A tuple of values of one kind, with a flag for each; ``example`` is one such tuple."""

    example: str
    is_repeated = True

    @property
    def doc(self) -> str:  # type: ignore[override]
        return f"tuple of {self.kind.doc}"

    def data(self, value: Any) -> list[Any]:
        return [self.kind.data(item) for item in value]

    def check(self, value: Any, name: str) -> tuple[Any, ...]:
        items = items_of(value, name, self.example)
        if isinstance(self.kind, TwoNumbers) and any(isinstance(k, int | float) for k in items):
            # One pair in the place of a list of pairs: what was meant is not sure.
            raise not_of_kind(name, value, f"a tuple of {self.example}")
        return tuple(self.kind.check(item, name) for item in items)


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
class TwoNumbers(Kind):
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
