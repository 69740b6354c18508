"""Which level of an image has voxels of the size that a model was trained on."""

from __future__ import annotations

import math

from bigunet.errors import OptionError
from bigunet.io.images.multiscale import Multiscale
from bigunet.io.images.units import scale_um
from bigunet.model.model import Model


def resolve_level(image: Multiscale, model: Model, level: int | str) -> int:
    """The level to segment; ``auto`` is the one with voxels most like the model's.

    Raises
    ------
    OptionError
        If image or model do not state the size of their voxels.
    """
    if isinstance(level, int):
        return level
    factors = size_factors(image, model)
    if not factors:
        lacks = "model" if model.description.voxel_size_um is None else "image"
        raise OptionError(
            f"level auto needs voxel sizes, and the {lacks} states none; give --level"
        )
    return min(factors, key=lambda k: factors[k])


def size_factors(image: Multiscale, model: Model) -> dict[int, float]:
    """How many times larger or smaller voxels of each level are than the model's, 1 or more.

    Along the axis on which they differ most. Empty where a size is not stated.
    """
    wanted = model.description.voxel_size_um
    factors = {}
    for level in range(len(image.levels)):
        size = scale_um(image, level)
        if wanted is None or size is None or len(size) < len(wanted):
            return {}
        pairs = zip(size[-len(wanted) :], wanted)
        factors[level] = max(_factor(a, b) for a, b in pairs)
    return factors


def _factor(a: float, b: float) -> float:
    """How many times one size is the other; infinite where that is beyond what floats hold."""
    return max(a / b, b / a) if a and b else math.inf
