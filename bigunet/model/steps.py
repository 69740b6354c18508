"""The steps from grey values to network inputs, of models that state them one by one.

A step is a number for each voxel from its value alone, or one that needs statistics of the whole
image. ``bigunet.segmentation.plan.whole_image`` measures these.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bigunet.errors import ModelError
from bigunet.model.brief import brief


@dataclass(frozen=True, slots=True)
class Affine:
    """``gain · value + offset``.

    Parameters
    ----------
    gain, offset : tuple of float
        One number for all channels, or one for each. No gain is 0.
    """

    gain: tuple[float, ...] = (1.0,)
    offset: tuple[float, ...] = (0.0,)

    def __post_init__(self) -> None:
        _check_numbers("gain", self.gain)
        _check_numbers("offset", self.offset)
        if 0 in self.gain:
            raise ModelError("a step multiplies by 0, so that the network would see no image")


@dataclass(frozen=True, slots=True)
class Clip:
    """Values below ``least`` become ``least``, values above ``greatest`` become ``greatest``."""

    least: float = -math.inf
    greatest: float = math.inf

    def __post_init__(self) -> None:
        if not self.least < self.greatest:
            raise ModelError(f"a step clips to {brief(self.least)} to {brief(self.greatest)}")


@dataclass(frozen=True, slots=True)
class Standardise:
    """``(value - mean) / (deviation + eps)``, with mean and deviation of the whole image.

    Parameters
    ----------
    eps : float
    together : bool
        Whether the channels have one mean and one deviation together.
    """

    eps: float = 1e-6
    together: bool = False

    def __post_init__(self) -> None:
        _check_numbers("eps", (self.eps,))


@dataclass(frozen=True, slots=True)
class Stretch:
    """``(value - p) / (q - p + eps)``, with percentiles p and q of all voxels of the image.

    Parameters
    ----------
    low, high : float
        The two percentages; percentiles are interpolated as numpy's ``linear``.
    eps : float
    together : bool
        Whether the channels have their percentiles together.
    """

    low: float = 0.0
    high: float = 100.0
    eps: float = 1e-6
    together: bool = False

    def __post_init__(self) -> None:
        _check_numbers("eps", (self.eps,))
        if not 0 <= self.low < self.high <= 100:
            raise ModelError(
                f"percentiles {brief(self.low)} and {brief(self.high)} are not within 0 to 100"
            )


Step = Affine | Clip | Standardise | Stretch
_KINDS: dict[str, type[Step]] = {
    "affine": Affine,
    "clip": Clip,
    "standardise": Standardise,
    "stretch": Stretch,
}


def step_to_dict(step: Step) -> dict[str, Any]:
    """A step as plain data for JSON; ends of a clip that are infinite are left out."""
    name = next(name for name, kind in _KINDS.items() if type(step) is kind)
    numbers = {k: v for k, v in asdict(step).items() if v not in (math.inf, -math.inf)}
    return {"step": name, **numbers}


def step_from_dict(data: object) -> Step:
    """The step that :func:`step_to_dict` wrote.

    Raises
    ------
    ModelError
        If the data are something else.
    """
    fields = dict(data) if isinstance(data, Mapping) else {}
    kind = _KINDS.get(str(fields.pop("step", None)))
    if kind is None:
        raise ModelError(f"unknown step {brief(data)}; known: {', '.join(_KINDS)}: upgrade bigunet")
    try:
        numbers: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()
        }
        return kind(**numbers)
    except TypeError as error:
        raise ModelError(f"a step is damaged: {brief(data)}") from error


def needs_image(steps: Sequence[Step]) -> bool:
    """Whether a step needs statistics of the image."""
    return any(isinstance(step, (Standardise, Stretch)) for step in steps)


def _check_numbers(name: str, values: object) -> None:
    ok = isinstance(values, tuple) and values
    if not ok or not all(
        isinstance(v, (int, float)) and not isinstance(v, bool) and math.isfinite(v)
        for v in values  # type: ignore[attr-defined]
    ):
        raise ModelError(f"{name} of a step is {brief(values)}; give finite numbers")
