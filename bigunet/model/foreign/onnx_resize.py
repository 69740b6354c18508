"""ONNX's Resize and Upsample, in the forms that torch's interpolate computes alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor
from torch.nn import functional

from bigunet.model.foreign.onnx_values import Step, Value, numbers

_LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}
_HALF_PIXEL = ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric")
# Torch's coefficient of cubic interpolation.
_CUBIC = -0.75


def upsample(step: Step, value: Tensor, scales: Value | None = None) -> Tensor:
    """Upsample, up to version 9: as Resize with asymmetric coordinates."""
    given = step.get("scales") if scales is None else scales
    return _resized(step, value, "asymmetric", "floor", scales=_floats(given), sizes=[])


def resize(
    step: Step,
    value: Tensor,
    roi: Value | None = None,
    scales: Value | None = None,
    sizes: Value | None = None,
) -> Tensor:
    """Resize; version 10 has no input ``roi``."""
    if step.opset < 11:
        return _resized(step, value, "asymmetric", "floor", scales=_floats(roi), sizes=[])
    coordinates = step.get("coordinate_transformation_mode", "half_pixel")
    nearest = step.get("nearest_mode", "round_prefer_floor")
    if step.get("antialias", 0) or step.get("exclude_outside", 0):
        raise step.refuse("with antialias or exclude_outside")
    if step.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise step.refuse("with an aspect ratio to keep")
    wanted = [] if sizes is None else numbers(sizes)
    factors = _floats(scales) if not wanted else []
    if step.get("axes") is not None:
        axes = [axis % value.ndim for axis in step.get("axes")]
        wanted, factors = _on_all(value, axes, wanted, factors)
    return _resized(step, value, coordinates, nearest, scales=factors, sizes=wanted)


def _floats(value: Value | Sequence[float] | None) -> list[float]:
    return [] if value is None else [float(number) for number in np.asarray(value).reshape(-1)]


def _on_all(
    value: Tensor, axes: list[int], sizes: list[int], scales: list[float]
) -> tuple[list[int], list[float]]:
    """Sizes or scales for all axes; those that are not listed stay as they are."""
    whole, ones = list(value.shape), [1.0] * value.ndim
    for place, axis in enumerate(axes):
        if sizes:
            whole[axis] = sizes[place]
        else:
            ones[axis] = scales[place]
    return (whole, []) if sizes else ([], ones)


def _resized(
    step: Step,
    value: Tensor,
    coordinates: str,
    nearest: str,
    *,
    scales: list[float],
    sizes: list[int],
) -> Tensor:
    before = tuple(value.shape)
    factors = scales or [new / old for new, old in zip(sizes, before)]
    if len(factors) != value.ndim or any(abs(f - 1) > 1e-9 for f in factors[:2]):
        raise step.refuse("over the axis of channels")
    size = sizes[2:] or [int(np.floor(n * f + 1e-6)) for n, f in zip(before[2:], scales[2:])]
    mode = step.get("mode", "nearest")
    if mode == "nearest":
        return _nearest(step, value, size, factors[2:], coordinates, nearest)
    if coordinates != "align_corners" and coordinates not in _HALF_PIXEL:
        raise step.refuse(f"in the mode {mode} with coordinates {coordinates}")
    if mode == "cubic" and (step.get("cubic_coeff_a", _CUBIC) != _CUBIC or value.ndim != 4):
        raise step.refuse("in the mode cubic with other coefficients or axes than torch's")
    aligned = coordinates == "align_corners"
    if not aligned:
        _check_whole(step, before[2:], size, factors[2:])
    name = "bicubic" if mode == "cubic" else _LINEAR[value.ndim - 2]
    return functional.interpolate(value, size=size, mode=name, align_corners=aligned)


def _check_whole(
    step: Step, before: Sequence[int], size: Sequence[int], factors: Sequence[float]
) -> None:
    """Raise ModelError if sizes are rounded, because torch then takes another scale than ONNX."""
    if any(abs(n * f - m) >= 1e-4 for n, f, m in zip(before, factors, size)):
        raise step.refuse(f"by {factors[0]:g} of {before[0]} voxels, which gives no whole number")


def _nearest(
    step: Step,
    value: Tensor,
    size: list[int],
    factors: Sequence[float],
    coordinates: str,
    nearest: str,
) -> Tensor:
    if coordinates == "asymmetric" and nearest == "floor":
        _check_whole(step, value.shape[2:], size, factors)
        return functional.interpolate(value, size=size, mode="nearest")
    # Whole factors of enlargement give the same in all of these rules.
    whole = all(f >= 1 and abs(f - round(f)) < 1e-6 for f in factors)
    if not whole or coordinates not in _HALF_PIXEL or nearest in ("floor", "ceil"):
        raise step.refuse(f"in the mode nearest with coordinates {coordinates}, {nearest}")
    return functional.interpolate(value, size=size, mode="nearest-exact")
