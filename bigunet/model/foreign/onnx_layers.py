"""ONNX operators that are layers: convolutions, poolings, normalisations, padding, resizing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor
from torch.nn import functional

from bigunet.model.foreign.onnx_resize import resize, upsample
from bigunet.model.foreign.onnx_values import Operator, Step, Value, as_tensor, numbers

_CONV = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
_CONV_TRANSPOSE = {
    1: functional.conv_transpose1d,
    2: functional.conv_transpose2d,
    3: functional.conv_transpose3d,
}
_MAX_POOL = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}
_AVERAGE_POOL = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}
_PAD_MODES = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}


def _pads(step: Step, value: Tensor, kernel: Sequence[int]) -> list[int]:
    """Padding of the spatial axes: all begins, then all ends."""
    axes = len(kernel)
    rule = step.get("auto_pad", "NOTSET")
    if rule in ("NOTSET", "VALID", ""):
        return list(step.get("pads", [0] * (2 * axes))) if rule != "VALID" else [0] * (2 * axes)
    strides, steps = step.get("strides", [1] * axes), step.get("dilations", [1] * axes)
    begins, ends = [], []
    for size, k, stride, dilation in zip(value.shape[2:], kernel, strides, steps):
        total = max((-(-size // stride) - 1) * stride + dilation * (k - 1) + 1 - size, 0)
        small, large = total // 2, total - total // 2
        begins.append(large if rule == "SAME_LOWER" else small)
        ends.append(small if rule == "SAME_LOWER" else large)
    return begins + ends


def _padded(value: Tensor, pads: Sequence[int], fill: float = 0.0) -> Tensor:
    """The value with padding of different width at the two ends of the spatial axes."""
    return functional.pad(value, _torch_order(pads), value=fill) if any(pads) else value


def _torch_order(pads: Sequence[int]) -> list[int]:
    """ONNX lists all begins, then all ends; torch lists pairs, the last axis first."""
    half = len(pads) // 2
    return [p for axis in reversed(range(half)) for p in (pads[axis], pads[half + axis])]


def _even(pads: Sequence[int]) -> bool:
    half = len(pads) // 2
    return list(pads[:half]) == list(pads[half:])


def _conv(step: Step, value: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    axes = weight.ndim - 2
    pads = _pads(step, value, weight.shape[2:])
    inner = pads[:axes] if _even(pads) else [0] * axes
    value = value if _even(pads) else _padded(value, pads)
    result: Tensor = _CONV[axes](
        value, weight, bias, step.get("strides", [1] * axes), inner,
        step.get("dilations", [1] * axes), step.get("group", 1),
    )  # fmt: skip
    return result


def _conv_transpose(
    step: Step, value: Tensor, weight: Tensor, bias: Tensor | None = None
) -> Tensor:
    axes = weight.ndim - 2
    if step.get("output_shape") or step.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        raise step.refuse("with a stated shape of its output")
    pads = list(step.get("pads", [0] * (2 * axes)))
    extra, strides = step.get("output_padding", [0] * axes), step.get("strides", [1] * axes)
    result: Tensor = _CONV_TRANSPOSE[axes](
        value, weight, bias, strides, pads[:axes] if _even(pads) else 0,
        extra, step.get("group", 1), step.get("dilations", [1] * axes),
    )  # fmt: skip
    return result if _even(pads) else _padded(result, [-p for p in pads])


def _max_pool(step: Step, value: Tensor) -> Tensor:
    kernel = step.get("kernel_shape")
    pads, axes = _pads(step, value, kernel), len(kernel)
    inner = pads[:axes] if _even(pads) else [0] * axes
    value = value if _even(pads) else _padded(value, pads, -float("inf"))
    result: Tensor = _MAX_POOL[axes](
        value, kernel, step.get("strides", [1] * axes), inner,
        step.get("dilations", [1] * axes), bool(step.get("ceil_mode", 0)),
    )  # fmt: skip
    return result


def _average_pool(step: Step, value: Tensor) -> Tensor:
    kernel = step.get("kernel_shape")
    pads, axes = _pads(step, value, kernel), len(kernel)
    counted = bool(step.get("count_include_pad", 0))
    if any(d != 1 for d in step.get("dilations", [1])) or not (_even(pads) or counted):
        raise step.refuse("with dilation, or with other padding at each end")
    inner = pads[:axes] if _even(pads) else [0] * axes
    value = value if _even(pads) else _padded(value, pads)
    result: Tensor = _AVERAGE_POOL[axes](
        value, kernel, step.get("strides", [1] * axes), inner,
        bool(step.get("ceil_mode", 0)), counted,
    )  # fmt: skip
    return result


def _global_average(step: Step, value: Tensor) -> Tensor:
    return value.mean(dim=tuple(range(2, value.ndim)), keepdim=True)


def _global_max(step: Step, value: Tensor) -> Tensor:
    return value.amax(dim=tuple(range(2, value.ndim)), keepdim=True)


def _batch_norm(
    step: Step, value: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor
) -> Tensor:
    if step.get("training_mode", 0):
        raise step.refuse("in training mode")
    epsilon = step.get("epsilon", 1e-5)
    return functional.batch_norm(value, mean, variance, scale, bias, eps=epsilon)


def _instance_norm(step: Step, value: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    return functional.instance_norm(value, weight=scale, bias=bias, eps=step.get("epsilon", 1e-5))


def _layer_norm(step: Step, value: Tensor, scale: Tensor, bias: Tensor | None = None) -> Tensor:
    shape = value.shape[step.get("axis", -1) % value.ndim :]
    weight = scale.expand(shape)
    offset = None if bias is None else bias.expand(shape)
    return functional.layer_norm(value, shape, weight, offset, step.get("epsilon", 1e-5))


def _group_norm(step: Step, value: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    groups, channels = step.get("num_groups"), value.shape[1]
    if scale.numel() != channels:
        # Before version 21, there is one number for each group.
        scale, bias = (one.repeat_interleave(channels // groups) for one in (scale, bias))
    return functional.group_norm(value, groups, scale, bias, step.get("epsilon", 1e-5))


def _pad(
    step: Step,
    value: Value,
    pads: Value | None = None,
    fill: Value | None = None,
    axes: Value | None = None,
) -> Tensor:
    assert isinstance(value, Tensor)
    given = list(step.get("pads", ())) if pads is None else numbers(pads)
    where = list(range(value.ndim)) if axes is None else [a % value.ndim for a in numbers(axes)]
    begins, ends = [0] * value.ndim, [0] * value.ndim
    for place, axis in enumerate(where):
        begins[axis], ends[axis] = given[place], given[place + len(where)]
    mode = step.get("mode", "constant")
    if mode == "constant":
        number = step.get("value", 0.0) if fill is None else float(np.asarray(fill))
        return functional.pad(value, _torch_order(begins + ends), value=number)
    if any(begins[:2] + ends[:2]):
        raise step.refuse(f"in the mode {mode} over channels")
    spatial = _torch_order(begins[2:] + ends[2:])
    return functional.pad(value, spatial, mode=_PAD_MODES[mode])


def _weights_as_tensors(operator: Operator) -> Operator:
    """The operator with all further inputs as tensors: small weights come as arrays, too."""

    def wrapped(step: Step, value: Tensor, *others: Value | None) -> Tensor:
        weights = (None if one is None else as_tensor(one, value) for one in others)
        result: Tensor = operator(step, value, *weights)
        return result

    return wrapped


LAYERS: dict[str, Operator] = {
    "AveragePool": _average_pool,
    "BatchNormalization": _weights_as_tensors(_batch_norm),
    "Conv": _weights_as_tensors(_conv),
    "ConvTranspose": _weights_as_tensors(_conv_transpose),
    "GlobalAveragePool": _global_average,
    "GlobalMaxPool": _global_max,
    "GroupNormalization": _weights_as_tensors(_group_norm),
    "InstanceNormalization": _weights_as_tensors(_instance_norm),
    "LayerNormalization": _weights_as_tensors(_layer_norm),
    "MaxPool": _max_pool,
    "Pad": _pad,
    "Resize": resize,
    "Upsample": upsample,
}
"""Operators by their names in ONNX."""
