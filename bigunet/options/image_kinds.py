"""Kinds of option values that speak of images and machines: levels, channels, regions, bytes."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import Any

from bigunet.errors import OptionError
from bigunet.options.choices import LevelChoice, SlabChoice
from bigunet.options.option_kinds import Kind, Whole

_SIZE = re.compile(
    r"(\d+(?:\.\d*)?|\.\d+)(?:e([+-]?\d{1,3}))?\s*(?:([kmgtp])(i)?)?(b)?", re.I | re.A
)
_POWERS = {"k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_MEGABYTE = 10**6


class LevelNumber(Kind):
    """The number of a level, or ``auto``."""

    metavar = "K|auto"
    doc = 'int or "auto"'

    def parse(self, text: str) -> LevelChoice:
        try:
            return "auto" if text == "auto" else int(text)
        except ValueError:
            raise ValueError(f"{text!r} is neither a whole number nor auto") from None

    def check(self, value: Any, name: str) -> LevelChoice:
        if isinstance(value, str):
            if value != "auto":
                raise OptionError(
                    f"unknown level {' '.join(f'{value!r:.60}'.split())}; give a whole number, or "
                    "auto"
                )
            return "auto"
        return Whole().check(value, name)


class SlabPlanes(Kind):
    """A number of planes, or ``auto``."""

    metavar = "N|auto"
    doc = 'int or "auto"'

    def parse(self, text: str) -> SlabChoice:
        try:
            return "auto" if text == "auto" else int(text)
        except ValueError:
            raise ValueError(f"{text!r} is neither a whole number nor auto") from None

    def check(self, value: Any, name: str) -> SlabChoice:
        if isinstance(value, str) and value == "auto":
            return "auto"
        planes = Whole().check(value, name)
        if planes < 0:
            raise OptionError(f"{name} {planes}: give a number of planes, 0, or auto")
        return planes


class Channel(Kind):
    """A channel: an int is an index, a text is a name or what names the way of counting."""

    metavar = "C"
    doc = "int or str"

    def show(self, value: Any) -> str:
        # A number in text may be a name, too.
        return f"index:{value}" if isinstance(value, int) else str(value)

    def check(self, value: Any, name: str) -> int | str:
        return value if isinstance(value, str) else Whole().check(value, name)


class ClassName(Kind):
    """A class: its number, or its name."""

    metavar = "CLASS"
    doc = "int or str"

    def parse(self, text: str) -> int | str:
        return int(text) if text.isascii() and text.isdigit() else text

    def check(self, value: Any, name: str) -> int | str:
        return value if isinstance(value, str) else Whole().check(value, name)


class Size(Kind):
    """A number of bytes; in text with a unit, such as ``8GB`` or ``512MiB``."""

    metavar = "SIZE"
    doc = "int or str"

    def parse(self, text: str) -> int:
        """Read a number with a unit.

        >>> Size().parse("1.5GB"), Size().parse("2 KiB"), Size().parse("64B")
        (1500000000, 2048, 64)
        """
        match = _SIZE.fullmatch(text.strip())
        size = math.inf
        if match:
            number, exponent, prefix, binary, byte = match.groups()
            unit = (1024 if binary else 1000) ** _POWERS[prefix.lower()] if prefix else 1
            written = f"{number}e{exponent or 0}"
            size = float(written) * unit
        if math.isinf(size):
            raise ValueError(f"{text!r} is no size, like 8GB or 500MB")
        if 0 < size < _MEGABYTE and not (prefix or byte):
            raise ValueError(f"{text!r} has no unit: give it, such as {text.strip()}GB")
        # Floats do not hold every large number.
        return int(size) if size < 2**53 else int(Fraction(written) * unit)

    def show(self, value: Any) -> str:
        return f"{value // _MEGABYTE}MB" if value % _MEGABYTE == 0 else f"{value}B"

    def check(self, value: Any, name: str) -> int:
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if isinstance(value, str):
            try:
                return self.parse(value)
            except ValueError as error:
                raise OptionError(f"{name}: {error}") from error
        return Whole().check(value, name)
