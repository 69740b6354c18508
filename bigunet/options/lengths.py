"""Numbers with a unit of length, as people type them: ``10um``, ``0.25 mm``, ``30 µm²``."""

from __future__ import annotations

import math
import numbers
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

from bigunet.errors import OptionError
from bigunet.options.option_kinds import Number, not_of_kind

_UM = {"nm": Fraction(1, 1000), "um": Fraction(1), "mm": Fraction(1000)}
_POWERS = {"": 1, "2": 2, "²": 2, "3": 3, "³": 3}
_MOST_DIGITS = 30
"""Digits of a whole number; longer ones are too large for a size."""
# Both signs of micro: U+00B5 of keyboards, and the Greek letter U+03BC.
_QUANTITY = re.compile(
    r"(\d+(?:\.\d*)?(?:e[+-]?\d{1,3})?|\.\d+(?:e[+-]?\d{1,3})?)"
    r"\s*(?:([nmuµμ]m)(?:\^?([23²³]))?)?",
    re.I | re.A,
)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number, and what it counts.

    Parameters
    ----------
    value : float
        Of voxels, or of micrometres to some power; an int where it is whole.
    power : int
        1 for a length, 2 for an area, 3 for a volume, and 0 for a number without a unit.
    """

    value: float
    power: int

    @classmethod
    def read(cls, text: str) -> Quantity | None:
        """Read a number with or without a unit of length; None if the text is none.

        >>> Quantity.read("0.25 mm"), Quantity.read("30µm²"), Quantity.read("7")
        (Quantity(value=250, power=1), Quantity(value=30, power=2), Quantity(value=7, power=0))
        """
        match = _QUANTITY.fullmatch(text.strip())
        if match is None:
            return None
        number, unit, sign = match.groups()
        if not unit:
            return cls(_number(number), 0)
        power = _POWERS[sign or ""]
        factor = _UM[re.sub("[µμ]", "u", unit.lower())] ** power
        value = _number(number)
        if factor != 1 and math.isfinite(value):
            value = _float(Fraction(number) * factor)
        return cls(plain(value) if math.isfinite(value) else value, power)


@dataclass(frozen=True, slots=True)
class Length:
    """A length in micrometres.

    Parameters
    ----------
    um : float
        0 or more.

    Raises
    ------
    OptionError
        If it is negative or not finite.

    Examples
    --------
    >>> str(Length.parse("0.25mm"))
    '250um'
    """

    um: float

    def __post_init__(self) -> None:
        if isinstance(self.um, bool) or not isinstance(self.um, numbers.Real):
            raise OptionError(f"length is {self.um!r:.60}; give a number of micrometres")
        if not 0 <= self.um < math.inf:
            raise OptionError(f"length is {self.um!r:.60}; give 0 or more micrometres")
        object.__setattr__(self, "um", plain(self.um))

    def __str__(self) -> str:
        """The text that :meth:`parse` reads as this length."""
        return f"{self.um!r}um"

    @classmethod
    def parse(cls, text: str) -> Length:
        """Read a number with a unit.

        Raises
        ------
        ValueError
            If the text is no length.
        """
        quantity = Quantity.read(text)
        if quantity is None or quantity.power != 1 or math.isinf(quantity.value):
            raise ValueError(f"{text!r:.60} is no length, such as 10um, 500nm or 0.25mm")
        return cls(quantity.value)


class Micrometres(Number):
    """A number of micrometres; in text with or without a unit, such as ``0.5`` or ``500nm``."""

    metavar = "UM"

    def parse(self, text: str) -> float:
        """Read micrometres.

        >>> Micrometres().parse("500nm"), Micrometres().parse("0.5")
        (0.5, 0.5)
        """
        quantity = Quantity.read(text)
        if quantity is None:
            # As any other number: a negative one is refused where its meaning is known.
            return super().parse(text)
        if quantity.power > 1:
            raise ValueError(f"{text!r:.60} is no length, such as 0.5 (micrometres) or 500nm")
        return float(quantity.value)

    def check(self, value: Any, name: str) -> float:
        try:
            return self.parse(value) if isinstance(value, str) else super().check(value, name)
        except ValueError:
            raise not_of_kind(name, value, "micrometres, such as 0.5 or '500nm'") from None


def plain(value: float) -> float:
    """A number of Python; an int where it is whole, so that one size has one text."""
    return int(value) if value == int(value) else float(value)


def decimal(value: float) -> Fraction:
    """A number as people write it: in binary, 0.3 / 0.1 is more than 3."""
    return Fraction(value if isinstance(value, int) else repr(float(value)))


def _number(text: str) -> float:
    is_whole = text.isdigit() and len(text) <= _MOST_DIGITS
    return cast(float, int(text)) if is_whole else float(text)


def _float(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf
