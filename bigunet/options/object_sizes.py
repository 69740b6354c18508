"""Sizes of objects as options give them: in voxels, or in square or cubic micrometres."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, TypeAlias, cast, get_args

from bigunet.errors import OptionError
from bigunet.options.lengths import Quantity, decimal, plain
from bigunet.options.option_kinds import Kind, not_of_kind

SizeUnit: TypeAlias = Literal["voxels", "um2", "um3"]
"""Unit of a size of objects."""
_AXES: dict[SizeUnit, int] = {"um2": 2, "um3": 3}
_SIGNS: dict[SizeUnit, str] = {"um2": "µm²", "um3": "µm³"}
_MOST_VOXELS = 2**62
_UNITS: dict[int, SizeUnit] = {0: "voxels", 2: "um2", 3: "um3"}
_EXPECTED = "a size such as 20 (voxels), 30um2 or 500um3"


@dataclass(frozen=True, slots=True)
class ObjectSize:
    """A size of objects.

    Parameters
    ----------
    value : float
        0 or more.
    unit : {"voxels", "um2", "um3"}
        ``um2`` is for objects of 2 axes, and ``um3`` for those of 3.

    Raises
    ------
    OptionError
        If the value is negative or not finite, the unit is another one, or voxels are not whole.

    Examples
    --------
    >>> ObjectSize(30, "um2").voxels((0.5, 0.5), ndim=2)
    120
    """

    value: float
    unit: SizeUnit = "voxels"

    def __post_init__(self) -> None:
        if self.unit not in get_args(SizeUnit):
            raise OptionError(f"unit of a size is {self.unit!r:.60}; give voxels, um2 or um3")
        if isinstance(self.value, bool) or not isinstance(self.value, numbers.Real):
            raise OptionError(f"size is {self.value!r:.60}; give a number")
        if not 0 <= self.value <= _MOST_VOXELS:
            raise OptionError(f"size is {self.value!r:.60}; give 0 or more, and less than 2^62")
        if self.unit == "voxels" and self.value != int(self.value):
            raise OptionError(f"size is {self.value} voxels; give a whole number of voxels")
        object.__setattr__(self, "value", plain(self.value))

    def __str__(self) -> str:
        """The text that :meth:`ObjectSizeKind.parse` reads as this size."""
        return f"{self.value!r}{'' if self.unit == 'voxels' else self.unit}"

    def voxels(self, voxel_size_um: Sequence[float] | None, ndim: int) -> int:
        """The least whole number of voxels that is not smaller than this size.

        For parameters and errors, see :meth:`most_voxels`.
        """
        return self._whole(voxel_size_um, ndim, math.ceil)

    def most_voxels(self, voxel_size_um: Sequence[float] | None, ndim: int) -> int:
        """The greatest whole number of voxels that is not larger than this size.

        Parameters
        ----------
        voxel_size_um : sequence of float or None
            Size of a voxel in micrometres. The last ``ndim`` numbers count, which are along the
            axes of an object. None if the image does not state it.
        ndim : int
            Number of axes of an object.

        Raises
        ------
        OptionError
            If the unit does not fit the number of axes, or the size of a voxel is not known.

        Examples
        --------
        >>> ObjectSize(1.1, "um2").most_voxels((0.5, 0.5), ndim=2)
        4
        """
        return self._whole(voxel_size_um, ndim, math.floor)

    def _whole(
        self,
        voxel_size_um: Sequence[float] | None,
        ndim: int,
        rounded: Callable[[Fraction], int],
    ) -> int:
        """This size in whole voxels."""
        if self.unit == "voxels":
            return int(self.value)
        sign = _SIGNS[self.unit]
        if _AXES[self.unit] != ndim:
            fits = {2: "µm² (30um2)", 3: "µm³ (500um3)"}.get(ndim)
            other = f"in {fits} or in voxels" if fits else "in voxels"
            raise OptionError(
                f"size {self} is in {sign}, and objects have {ndim} axes: give it {other}"
            )
        if voxel_size_um is None:
            raise OptionError(
                f"size {self} is in {sign}, and the image does not state the size of its voxels in "
                "micrometres: give the size in voxels, such as 20"
            )
        count = rounded(_in_voxels(self.value, voxel_size_um, ndim))
        if count > _MOST_VOXELS:
            raise OptionError(f"size {self} is over 2^62 voxels; give a smaller one")
        return count


class ObjectSizeKind(Kind):
    """A size of objects; in text with a unit, such as ``20``, ``30um2`` or ``500µm³``."""

    metavar = "SIZE"
    doc = "ObjectSize, int or str"

    def parse(self, text: str) -> ObjectSize:
        """Read a number with a unit.

        >>> ObjectSizeKind().parse("30 µm²")
        ObjectSize(value=30, unit='um2')
        """
        quantity = Quantity.read(text)
        if quantity is None or quantity.power not in _UNITS:
            raise ValueError(f"{text!r:.60} is not {_EXPECTED}")
        try:
            return ObjectSize(quantity.value, _UNITS[quantity.power])
        except OptionError as error:
            raise ValueError(str(error)) from None

    def data(self, value: Any) -> Any:
        return value.value if value.unit == "voxels" else str(value)

    def check(self, value: Any, name: str) -> ObjectSize:
        if isinstance(value, ObjectSize):
            return value
        try:
            if isinstance(value, str):
                return self.parse(value)
            if isinstance(value, numbers.Real):
                return ObjectSize(cast(float, value))
        except (ValueError, OptionError) as error:
            raise OptionError(f"{name}: {error}") from error
        raise not_of_kind(name, value, _EXPECTED)


def _in_voxels(size: float, voxel_size_um: Sequence[float], ndim: int) -> Fraction:
    """Voxels that make up a size; decimals count as people write them."""
    sides = [float(side) for side in voxel_size_um[-ndim:]]
    if len(sides) != ndim or not all(0 < side < math.inf for side in sides):
        raise OptionError(
            f"size of a voxel {tuple(sides)} for objects of {ndim} axes: give {ndim} positive "
            "numbers"
        )
    volume = math.prod(decimal(side) for side in sides)
    return decimal(size) / volume
