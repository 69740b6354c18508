"""How grey values become network inputs, as a model file states it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from bigunet.errors import ModelError
from bigunet.model.brief import brief
from bigunet.model.steps import Step, step_from_dict, step_to_dict
from bigunet.options.choices import NormalisationKind


@dataclass(frozen=True, slots=True)
class Normalisation:
    """How grey values become network inputs: ``(value - low) / (high - low)``.

    Parameters
    ----------
    kind : {"percentile", "fixed", "steps"}
        Whether ``low`` and ``high`` are percentiles (0 to 100) of each channel of the whole
        image, or grey values; or whether ``steps`` say it, as bioimage.io packages do.
    low, high : float
        The values that become 0 and 1. Values outside are not clipped. Not used by steps.
    steps : tuple of Affine, Clip, Standardise or Stretch
        What is done with the values, in this order.
    """

    kind: NormalisationKind = "percentile"
    low: float = 1.0
    high: float = 99.8
    steps: tuple[Step, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in get_args(NormalisationKind):
            raise ModelError(f"normalisation {brief(self.kind)}; known: percentile, fixed, steps")
        if self.steps and self.kind != "steps":
            raise ModelError(f"normalisation {self.kind} with steps; its kind must be steps")
        for name in ("low", "high"):
            if not is_number(getattr(self, name)):
                raise ModelError(f"{name} is {brief(getattr(self, name))}; give a number")
        if not self.low < self.high:
            raise ModelError(f"normalisation maps {self.low} to 0 and {self.high} to 1")
        if self.kind == "percentile" and not 0 <= self.low < self.high <= 100:
            raise ModelError(f"percentiles {self.low} and {self.high} are not within 0 to 100")

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        if self.kind == "steps":
            return {"kind": self.kind, "steps": [step_to_dict(step) for step in self.steps]}
        # Versions that do not know steps can read such a file.
        return {"kind": self.kind, "low": self.low, "high": self.high}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Normalisation:
        """The normalisation written by :meth:`to_dict`."""
        if not isinstance(data, Mapping):
            raise ModelError(f"the model's description is damaged: normalisation {brief(data)}")
        fields = dict(data)
        if "steps" in fields:
            fields["steps"] = tuple(map(step_from_dict, fields["steps"] or ()))
        return cls(**fields)


def is_number(value: object) -> bool:
    """Whether a value is a real number that a float can hold; true and false are not numbers."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return isinstance(value, float) or abs(value) < 2**63
