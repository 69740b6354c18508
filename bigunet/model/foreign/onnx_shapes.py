"""ONNX operators that move elements, and those that compute with sizes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from bigunet.model.foreign.onnx_values import Operator, Step, Value, as_tensor, numbers, tensor_in

# Types of ONNX that are fractions: FLOAT, FLOAT16, DOUBLE, BFLOAT16.
_FRACTIONS = {1, 10, 11, 16}
_BOOL = 9
_WHOLE = {6, 7}


def _shape(step: Step, value: Value) -> np.ndarray:
    sizes = np.asarray(tuple(value.shape), dtype=np.int64)
    return sizes[slice(step.get("start", 0), step.get("end"))]


def _reshape(step: Step, value: Value, shape: Value | None = None) -> Value:
    asked = list(step.get("shape", ())) if shape is None else numbers(shape)
    if not step.get("allowzero", 0):
        asked = [value.shape[k] if size == 0 else size for k, size in enumerate(asked)]
    return value.reshape(asked)


def _flatten(step: Step, value: Tensor) -> Tensor:
    axis = step.get("axis", 1)
    axis = axis + value.ndim if axis < 0 else axis
    return value.reshape(int(np.prod(value.shape[:axis])), -1)


def _squeeze(step: Step, value: Value, given: Value | None = None) -> Value:
    axes = step.get("axes") if given is None else numbers(given)
    if axes is None:
        axes = [k for k, size in enumerate(value.shape) if size == 1]
    dropped = {axis % value.ndim for axis in axes}
    return value.reshape([n for k, n in enumerate(value.shape) if k not in dropped])


def _unsqueeze(step: Step, value: Value, given: Value | None = None) -> Value:
    axes = step.get("axes") if given is None else numbers(given)
    new = {axis % (value.ndim + len(axes)) for axis in axes}
    sizes = iter(value.shape)
    return value.reshape([1 if k in new else next(sizes) for k in range(value.ndim + len(axes))])


def _transpose(step: Step, value: Value) -> Value:
    order = step.get("perm", tuple(range(value.ndim))[::-1])
    return value.permute(*order) if isinstance(value, Tensor) else value.transpose(order)


def _concat(step: Step, *values: Value) -> Value:
    like = tensor_in(values)
    if like is None:
        return np.concatenate(values, axis=step.get("axis", 1))
    return torch.cat([as_tensor(value, like) for value in values], dim=step.get("axis", 1))


def _slice(step: Step, value: Value, *given: Value | None) -> Value:
    names = ("starts", "ends", "axes", "steps")
    found = [step.get(name) for name in names]
    for place, one in enumerate(given):
        found[place] = None if one is None else numbers(one)
    starts, ends, axes, steps = found
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    where = [slice(None)] * value.ndim
    for axis, start, end, by in zip(axes, starts, ends, steps):
        if by < 0 and isinstance(value, Tensor):
            raise step.refuse("with a negative step")
        where[axis] = slice(start, end, by)
    return value[tuple(where)]


def _split(step: Step, value: Value, given: Value | None = None) -> tuple[Value, ...]:
    axis, sizes = step.get("axis", 0), step.get("split") if given is None else numbers(given)
    if sizes is None:
        count = len(step.outputs)
        part = -(-value.shape[axis] // count)
        sizes = [part] * (count - 1) + [value.shape[axis] - part * (count - 1)]
    if isinstance(value, Tensor):
        return torch.split(value, list(sizes), dim=axis)
    return tuple(np.split(value, np.cumsum(sizes)[:-1], axis=axis))


def _gather(step: Step, value: Value, indices: Value) -> Value:
    axis = step.get("axis", 0)
    if not isinstance(value, Tensor):
        return np.asarray(np.take(value, np.asarray(indices), axis=axis))
    chosen = as_tensor(indices, value)
    where = torch.where(chosen < 0, chosen + value.shape[axis], chosen)
    taken = value.index_select(axis, where.reshape(-1))
    return taken.reshape(*value.shape[:axis], *chosen.shape, *value.shape[axis + 1 :])


def _expand(step: Step, value: Value, shape: Value) -> Value:
    sizes = np.broadcast_shapes(tuple(value.shape), tuple(numbers(shape)))
    return value.expand(sizes) if isinstance(value, Tensor) else np.broadcast_to(value, sizes)


def _tile(step: Step, value: Value, repeats: Value) -> Value:
    times = numbers(repeats)
    return value.repeat(*times) if isinstance(value, Tensor) else np.tile(value, times)


def _cast(step: Step, value: Value) -> Value:
    to = step.get("to", 1)
    if to not in _FRACTIONS | _WHOLE | {_BOOL}:
        raise step.refuse("to a type that wraps numbers around")
    if not isinstance(value, Tensor):
        kind = np.float64 if to in _FRACTIONS else np.bool_ if to == _BOOL else np.int64
        return value.astype(kind)
    if to in _FRACTIONS:
        # Fractions keep their type: the network is run in several.
        return value if value.is_floating_point() else value.to(torch.get_default_dtype())
    return value.to(torch.bool if to == _BOOL else torch.int64)


def _cast_like(step: Step, value: Value, like: Value) -> Value:
    kinds = [one.dtype.is_floating_point if isinstance(one, Tensor) else one.dtype.kind == "f"
             for one in (value, like)]  # fmt: skip
    if not all(kinds):
        raise step.refuse("of other numbers than fractions")
    return value


def _constant_of_shape(step: Step, shape: Value) -> np.ndarray:
    value = np.asarray(step.get("value", np.zeros(1, np.float32))).reshape(-1)[0]
    return np.full(numbers(shape), value)


def _range(step: Step, start: Value, stop: Value, by: Value) -> np.ndarray:
    ends = (np.asarray(value).item() for value in (start, stop, by))
    return np.arange(*ends)


def _depth_to_space(step: Step, value: Tensor) -> Tensor:
    if step.get("mode", "DCR") != "CRD":
        raise step.refuse("in the mode DCR")
    return torch.pixel_shuffle(value, step.get("blocksize"))


SHAPES: dict[str, Operator] = {
    "Cast": _cast,
    "CastLike": _cast_like,
    "Concat": _concat,
    "ConstantOfShape": _constant_of_shape,
    "DepthToSpace": _depth_to_space,
    "Dropout": lambda step, value, *_: value,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "Identity": lambda step, value: value,
    "Range": _range,
    "Reshape": _reshape,
    "Shape": _shape,
    "Size": lambda step, value: np.asarray(int(np.prod(tuple(value.shape)))),
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": _tile,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
"""Operators by their names in ONNX."""
