"""How far patches are varied: numbers alone, which commands read without torch."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any

from bigunet.errors import TrainingError
from bigunet.options.choices import InterpolationOrder
from bigunet.options.option_kinds import Kind, not_of_kind
from bigunet.options.short_repr import changed_repr


def _numbers(name: str, value: Any) -> tuple[float, ...]:
    """The numbers of a pair.

    Raises
    ------
    TrainingError
        If it is no sequence of numbers.
    """
    numbers = tuple(value) if isinstance(value, Sequence) else (value,)
    for number in numbers:
        _check_number(name, number, value)
    return numbers


def _check_number(name: str, number: Any, value: Any) -> None:
    if isinstance(number, bool) or not isinstance(number, Real):
        raise TrainingError(f"{name} is {value}; give numbers")


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How far patches are varied; the elastic deformation is that of the paper.

    Parameters
    ----------
    flips : bool
        Mirror along each axis, and exchange axes that are equally long and of equal spacing: in
        the plane, all turns by 90 degrees.
    warp_share : float
        Share of the patches that are turned, scaled, shifted and deformed.
    rotation : bool
        Turn by any angle: about all axes where voxels are cubes, else in the plane of the last
        two axes.
    scale : tuple of float
        Smallest and largest magnification; a halving is as likely as a doubling.
    shift_voxels : float
        Largest shift along each axis, so that the network sees voxels off their centres, too.
    elastic_voxels : float
        Standard deviation of the displacement vectors, in units of the smallest side of a voxel.
    elastic_points : int
        Number of vectors along each side of the patch; between them, the displacement is bicubic.
    interpolation_order : {1, 3}
        Interpolation of the image: 1 is linear, 3 is cubic.
    grey_share : float
        Share of the patches to which each change of the grey values is applied.
    gain, gamma : tuple of float
        Smallest and largest factor and exponent of the grey values; a halving is as likely as a
        doubling.
    offset, noise, blur_voxels : float
        Largest offset, standard deviation of the noise, and sigma of the Gaussian blur, for an
        image that is normalised to 0 to 1.

    Raises
    ------
    TrainingError
        If a number is out of its range.

    References
    ----------
    Ronneberger, Fischer, Brox: U-Net, MICCAI 2015, doi:10.1007/978-3-319-24574-4_28, section 3.1.
    """

    flips: bool = True
    warp_share: float = 0.8
    rotation: bool = True
    scale: tuple[float, float] = (0.8, 1.25)
    shift_voxels: float = 0.5
    elastic_voxels: float = 10.0
    elastic_points: int = 3
    interpolation_order: InterpolationOrder = 3
    grey_share: float = 0.5
    gain: tuple[float, float] = (0.7, 1.4)
    gamma: tuple[float, float] = (0.7, 1.4)
    offset: float = 0.1
    noise: float = 0.05
    blur_voxels: float = 1.0

    __repr__ = changed_repr

    def __post_init__(self) -> None:
        for name in ("flips", "rotation"):
            if not isinstance(getattr(self, name), bool):
                raise TrainingError(f"{name} is {getattr(self, name)}; give true or false")
        for name in ("scale", "gain", "gamma"):
            limits = _numbers(name, getattr(self, name))
            if len(limits) != 2 or not 0 < limits[0] <= limits[1] < math.inf:
                raise TrainingError(f"{name} is {limits}; give 0 < smallest <= largest")
            object.__setattr__(self, name, limits)
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(field.default, (int, float)) and not isinstance(field.default, bool):
                _check_number(field.name, value, value)
        for name in ("warp_share", "grey_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise TrainingError(f"{name} is {getattr(self, name)}; give a share from 0 to 1")
        for name in ("shift_voxels", "elastic_voxels", "offset", "noise", "blur_voxels"):
            if not 0 <= getattr(self, name) < math.inf:
                raise TrainingError(f"{name} is {getattr(self, name)}; give 0 or more")
        if not isinstance(self.elastic_points, int) or self.elastic_points < 2:
            raise TrainingError(
                f"elastic_points is {self.elastic_points}; give whole ones, 2 or more"
            )
        if self.interpolation_order not in (1, 3):
            raise TrainingError(
                f"interpolation_order is {self.interpolation_order}; give 1 (linear) or 3 (cubic)"
            )

    @property
    def warps(self) -> bool:
        """Whether the numbers let a warped patch differ from the image."""
        limits = (self.shift_voxels, self.elastic_voxels)
        return self.rotation or any(limits) or self.scale != (1, 1)

    @classmethod
    def from_dict(cls, numbers: Mapping[str, Any]) -> Augmentation:
        """The augmentation with these numbers; a number that is left out has its default.

        Raises
        ------
        TrainingError
            If there is no such field, or a number is out of its range.
        """
        known = [field.name for field in fields(cls)]
        unknown = [name for name in numbers if name not in known]
        if unknown:
            raise TrainingError(
                f"augmentation has no {', '.join(unknown)}; known: {', '.join(known)}"
            )
        return cls(**numbers)


class Changes(Kind):
    """An augmentation, by what it changes of the default: ``NAME=VALUE`` for each number."""

    metavar = "NAME=VALUE"
    doc = "Augmentation"
    is_repeated = True

    def parse(self, text: str) -> tuple[str, Any]:
        name, _, value = text.partition("=")
        known = {field.name for field in fields(Augmentation)}
        if name not in known or not value:
            raise ValueError(
                f"{text} changes nothing; give NAME=VALUE with one of {', '.join(sorted(known))}"
            )
        try:
            numbers = [json.loads(part) for part in value.split(",")]
        except json.JSONDecodeError:
            raise ValueError(f"{text}: {value} is no number, true or false") from None
        return name, numbers[0] if len(numbers) == 1 else tuple(numbers)

    def show(self, value: Any) -> str:
        name, numbers = value
        return f"{name}={','.join(map(json.dumps, _items(numbers)))}"

    def items(self, value: Any) -> Iterator[tuple[str, Any]]:
        for field in fields(Augmentation):
            if getattr(value, field.name) != field.default:
                yield field.name, getattr(value, field.name)

    def data(self, value: Any) -> dict[str, Any]:
        return {name: super(Changes, self).data(numbers) for name, numbers in self.items(value)}

    def gather(self, items: Sequence[Any], flag: str) -> Augmentation:
        return Augmentation(**dict(items))

    def check(self, value: Any, name: str) -> Augmentation:
        if isinstance(value, Mapping):
            return Augmentation.from_dict(value)
        if not isinstance(value, Augmentation):
            raise not_of_kind(name, value, 'Augmentation(), or a mapping such as {"noise": 0.1}')
        return value


def _items(numbers: Any) -> Sequence[Any]:
    return numbers if isinstance(numbers, tuple) else (numbers,)
