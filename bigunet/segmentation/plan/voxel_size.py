"""Finds the level of an image with the voxel size that a model was trained on."""

from __future__ import annotations

import math

from bigunet.errors import OptionError
from bigunet.io.images.multiscale import ImageDescription
from bigunet.io.images.units import scale_um
from bigunet.model.model import Model


def resolve_level(image: ImageDescription, model: Model, level: int | str) -> int:
    """The number of a level; ``auto`` is the level with a voxel size nearest to the model's.

    Raises
    ------
    OptionError
        If the level is ``auto``, and image or model do not state the size of their voxels.
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


def size_factors(image: ImageDescription, model: Model) -> dict[int, float]:
    """Ratio between the voxel sizes of each level and of the model, the larger over the smaller.

    It is 1 or more, and taken along the axis with the largest ratio. Empty if image or model do
    not state the size of their voxels.
    """
    model_size = model.description.voxel_size_um
    factors = {}
    for level in range(len(image.levels)):
        size = scale_um(image, level)
        if model_size is None or size is None or len(size) < len(model_size):
            return {}
        pairs = zip(size[-len(model_size) :], model_size)
        factors[level] = max(_ratio(a, b) for a, b in pairs)
    return factors


def _ratio(a: float, b: float) -> float:
    """The larger size divided by the smaller one; infinite if one of them is 0."""
    return max(a / b, b / a) if a and b else math.inf
