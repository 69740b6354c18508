"""The steps before the network, as steps of bigunet that are fixed before the first tile.

``per_sample`` statistics are those of the whole image, and so are those of a data set, because an
image is all that a run sees. Nothing is measured on a tile. A step that cannot be mapped exactly is
refused by its name.

References
----------
What each step computes: ``bioimageio/core/proc_ops.py`` of bioimageio.core.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from bigunet.errors import ModelError
from bigunet.model.brief import brief
from bigunet.model.normalisation import Normalisation
from bigunet.model.packages.package import PackageTensor, ProcessingStep
from bigunet.model.packages.plain_fields import number
from bigunet.model.steps import Affine, Clip, Standardise, Step, Stretch

_EPS = 1e-6
_FLOATS = ("float32", "float64")


def normalisation_of(tensor: PackageTensor) -> Normalisation:
    """The normalisation that an input states.

    Raises
    ------
    ModelError
        If a step cannot be mapped exactly; the message names it.
    """
    steps: list[Step] = []
    for one in tensor.steps:
        if one.name not in _STEPS:
            raise _refused(one, f"bigunet maps {', '.join(_STEPS)}")
        read, known = _STEPS[one.name]
        if unknown := one.others_than(known):
            raise _refused(one, f"bigunet does not know its {', '.join(unknown)}")
        steps += read(one, tensor)
    return Normalisation("steps", steps=tuple(steps))


def _ensure_dtype(step: ProcessingStep, tensor: PackageTensor) -> list[Step]:
    dtype = step.numbers.get("dtype")
    if dtype not in _FLOATS:
        raise _refused(step, f"a cast to {brief(dtype)} rounds grey values; only floats are kept")
    return []


def _scale_linear(step: ProcessingStep, tensor: PackageTensor) -> list[Step]:
    along = _is_along_channels(step, tensor)
    gain = _numbers(step, "gain", 1.0, along=along)
    return [Affine(gain, _numbers(step, "offset", 0.0, along=along))]


def _fixed(step: ProcessingStep, tensor: PackageTensor) -> list[Step]:
    along = _is_along_channels(step, tensor)
    mean, deviation = (_numbers(step, key, math.nan, along=along) for key in ("mean", "std"))
    eps = number(step.numbers.get("eps", _EPS), "eps")
    count = max(len(mean), len(deviation))
    # Subtracted first, as bioimageio.core does, so that no digit of a small difference is lost.
    mean, deviation = (v * count if len(v) == 1 else v for v in (mean, deviation))
    if len(mean) != len(deviation):
        raise _refused(step, f"{len(mean)} means for {len(deviation)} deviations")
    divisors = [value + eps for value in deviation]
    if 0 in divisors:
        raise _refused(step, "it divides by 0")
    gain = tuple(1 / value for value in divisors)
    return [Affine(offset=tuple(-m for m in mean)), Affine(gain)]


def _zero_mean(step: ProcessingStep, tensor: PackageTensor) -> list[Step]:
    if step.numbers.get("mode") == "fixed":
        return _fixed(step, tensor)
    _check_measured(step)
    if any(step.numbers.get(key) is not None for key in ("mean", "std")):
        raise _refused(step, "it states mean and std, and asks to measure them")
    eps = number(step.numbers.get("eps", _EPS), "eps")
    return [Standardise(eps, together=_is_together(step, tensor))]


def _scale_range(step: ProcessingStep, tensor: PackageTensor) -> list[Step]:
    if step.numbers.get("reference_tensor") not in (None, tensor.name):
        raise _refused(step, "it takes the percentiles of another tensor")
    _check_measured(step)
    low, high = (
        number(step.numbers.get(key, default), key)
        for key, default in (("min_percentile", 0.0), ("max_percentile", 100.0))
    )
    eps = number(step.numbers.get("eps", _EPS), "eps")
    return [Stretch(low, high, eps, together=_is_together(step, tensor))]


def _clip(step: ProcessingStep, tensor: PackageTensor) -> list[Step]:
    numbers = step.numbers
    if any(numbers.get(key) is not None for key in ("min_percentile", "max_percentile")):
        raise _refused(step, "it clips to percentiles; give --grey-range LOW:HIGH in its place")
    least, greatest = (
        unlimited if numbers.get(key) is None else number(numbers[key], key)
        for key, unlimited in (("min", -math.inf), ("max", math.inf))
    )
    return [Clip(least, greatest)]


_STEPS: dict[str, tuple[Callable[[ProcessingStep, PackageTensor], list[Step]], str]] = {
    "ensure_dtype": (_ensure_dtype, "dtype"),
    "scale_linear": (_scale_linear, "gain offset axis axes"),
    "zero_mean_unit_variance": (_zero_mean, "mode axes mean std eps"),
    "fixed_zero_mean_unit_variance": (_fixed, "mean std axis eps"),
    "scale_range": (_scale_range, "mode axes min_percentile max_percentile eps reference_tensor"),
    "clip": (_clip, "min max min_percentile max_percentile axes"),
}
"""The function that reads a step, and the numbers that it knows."""


def _check_measured(step: ProcessingStep) -> None:
    """Raise ModelError if a step that measures states another way to do so."""
    mode = step.numbers.get("mode")
    if mode not in (None, "per_sample", "per_dataset"):
        raise _refused(step, f"bigunet does not know the mode {brief(mode)}")


def _is_together(step: ProcessingStep, tensor: PackageTensor) -> bool:
    """Whether statistics are of all channels together; they are of all axes of space."""
    given = step.numbers.get("axes")
    if given is None:
        return True
    axes = set(given) if isinstance(given, (str, list)) else set()
    names = {"b": "batch", "c": "channel"}
    named = {names.get(str(axis), str(axis)) for axis in axes} - {"batch"}
    if named - {"channel"} != set(tensor.space):
        raise _refused(
            step,
            f"it measures along {brief(given)}, and not along all of {', '.join(tensor.space)}",
        )
    return "channel" in named


def _is_along_channels(step: ProcessingStep, tensor: PackageTensor) -> bool:
    """Whether a step has a number for each channel."""
    axis = step.numbers.get("axis")
    if axis not in (None, "channel", "c"):
        raise _refused(step, f"it differs along axis {brief(axis)}")
    axes = step.numbers.get("axes")
    if "mean" not in step.numbers and axes is not None:
        raise _refused(step, "its numbers along axes are not defined in format 0.4")
    return axis is not None or "mode" in step.numbers


def _numbers(step: ProcessingStep, name: str, default: float, *, along: bool) -> tuple[float, ...]:
    given: Any = step.numbers.get(name, default)
    values = given if isinstance(given, list) else [given]
    if len(values) > 1 and not along:
        raise _refused(step, f"{name} has {len(values)} numbers without an axis")
    return tuple(number(value, f"{name} of {step.name}") for value in values)


def _refused(step: ProcessingStep, why: str) -> ModelError:
    numbers: Mapping[str, Any] = step.numbers
    shown = ", ".join(f"{key}={brief(value)}" for key, value in numbers.items())
    return ModelError(f"its step {step.name}({shown[:60]}) cannot be run exactly: {why}")
