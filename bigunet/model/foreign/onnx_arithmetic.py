"""ONNX operators that compute each element by itself, sums over axes, and products of matrices."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from bigunet.model.foreign.onnx_values import Operator, Step, Value, as_tensor, numbers, tensor_in


def _elementwise(
    of_tensors: Callable[..., Any], of_arrays: Callable[..., Any] | None = None
) -> Operator:
    """An operator of one or more inputs that computes each element by itself."""

    def operator(step: Step, *inputs: Value) -> Value:
        like = tensor_in(inputs)
        if like is None and of_arrays is not None:
            return np.asarray(of_arrays(*inputs))
        like = torch.empty(0) if like is None else like
        result: Tensor = of_tensors(*(as_tensor(value, like) for value in inputs))
        return result

    return operator


def _folded(of_two: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    return lambda *values: functools.reduce(of_two, values)


def _divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    whole = np.asarray(a).dtype.kind in "iu" and np.asarray(b).dtype.kind in "iu"
    return np.asarray(np.floor_divide(a, b) if whole else np.divide(a, b))


def _divide_tensors(a: Tensor, b: Tensor) -> Tensor:
    if a.is_floating_point() or b.is_floating_point():
        return a / b
    return torch.div(a, b, rounding_mode="trunc")


def _clip(step: Step, value: Value, low: Value | None = None, high: Value | None = None) -> Value:
    ends = step.get("min") if low is None else low, step.get("max") if high is None else high
    least, most = (None if end is None else float(np.asarray(end)) for end in ends)
    if isinstance(value, Tensor):
        return value.clamp(least, most)
    return np.clip(value, least, most)


def _softmax(step: Step, value: Tensor) -> Tensor:
    function = torch.softmax if step.kind == "Softmax" else torch.log_softmax
    if step.opset >= 13:
        return function(value, dim=step.get("axis", -1))
    # Before version 13, all axes from this one on are one.
    axis = step.get("axis", 1) % value.ndim
    flat = value.reshape(*value.shape[:axis], -1)
    return function(flat, dim=axis).reshape(value.shape)


def _prelu(step: Step, value: Tensor, slope: Value) -> Tensor:
    return torch.where(value < 0, as_tensor(slope, value) * value, value)


def _gelu(step: Step, value: Tensor) -> Tensor:
    return functional.gelu(value, approximate=step.get("approximate", "none"))


def _reduction(of_tensors: Callable[..., Tensor], of_arrays: Callable[..., Any]) -> Operator:
    """An operator that reduces some axes to one number; the axes are an attribute or an input."""

    def operator(step: Step, value: Value, given: Value | None = None) -> Value:
        axes = step.get("axes") if given is None else numbers(given)
        if not axes:
            if step.get("noop_with_empty_axes", 0):
                return value
            axes = range(value.ndim)
        keep = bool(step.get("keepdims", 1))
        if isinstance(value, Tensor):
            return of_tensors(value, dim=tuple(axes), keepdim=keep)
        return np.asarray(of_arrays(value, axis=tuple(axes), keepdims=keep))

    return operator


def _norm(value: Tensor, *, dim: tuple[int, ...], keepdim: bool) -> Tensor:
    result: Tensor = torch.linalg.vector_norm(value, dim=dim, keepdim=keepdim)
    return result


def _argmax(step: Step, value: Tensor) -> Tensor:
    if step.get("select_last_index", 0):
        raise step.refuse("with the last of equal values")
    return value.argmax(dim=step.get("axis", 0), keepdim=bool(step.get("keepdims", 1)))


def _matmul(step: Step, a: Value, b: Value) -> Tensor:
    like = tensor_in((a, b))
    assert like is not None
    return torch.matmul(as_tensor(a, like), as_tensor(b, like))


def _gemm(step: Step, a: Tensor, b: Value, c: Value | None = None) -> Tensor:
    a, weights = a, as_tensor(b, a)
    a = a.T if step.get("transA", 0) else a
    weights = weights.T if step.get("transB", 0) else weights
    product: Tensor = step.get("alpha", 1.0) * (a @ weights)
    return product if c is None else product + step.get("beta", 1.0) * as_tensor(c, a)


ARITHMETIC: dict[str, Operator] = {
    "Abs": _elementwise(torch.abs, np.abs),
    "Add": _elementwise(torch.add, np.add),
    "And": _elementwise(torch.logical_and, np.logical_and),
    "ArgMax": _argmax,
    "Ceil": _elementwise(torch.ceil, np.ceil),
    "Celu": lambda step, x: functional.celu(x, alpha=step.get("alpha", 1.0)),
    "Clip": _clip,
    "Cos": _elementwise(torch.cos, np.cos),
    "Div": _elementwise(_divide_tensors, _divide),
    "Elu": lambda step, x: functional.elu(x, alpha=step.get("alpha", 1.0)),
    "Equal": _elementwise(torch.eq, np.equal),
    "Erf": _elementwise(torch.erf),
    "Exp": _elementwise(torch.exp, np.exp),
    "Floor": _elementwise(torch.floor, np.floor),
    "Gelu": _gelu,
    "Gemm": _gemm,
    "Greater": _elementwise(torch.gt, np.greater),
    "GreaterOrEqual": _elementwise(torch.ge, np.greater_equal),
    "HardSigmoid": lambda step, x: (step.get("alpha", 0.2) * x + step.get("beta", 0.5)).clamp(0, 1),
    "HardSwish": lambda step, x: functional.hardswish(x),
    "LeakyRelu": lambda step, x: functional.leaky_relu(x, step.get("alpha", 0.01)),
    "Less": _elementwise(torch.lt, np.less),
    "LessOrEqual": _elementwise(torch.le, np.less_equal),
    "Log": _elementwise(torch.log, np.log),
    "LogSoftmax": _softmax,
    "MatMul": _matmul,
    "Max": _elementwise(_folded(torch.maximum), _folded(np.maximum)),
    "Min": _elementwise(_folded(torch.minimum), _folded(np.minimum)),
    "Mish": _elementwise(functional.mish),
    "Mul": _elementwise(torch.mul, np.multiply),
    "Neg": _elementwise(torch.neg, np.negative),
    "Not": _elementwise(torch.logical_not, np.logical_not),
    "Or": _elementwise(torch.logical_or, np.logical_or),
    "Pow": _elementwise(torch.pow, np.power),
    "PRelu": _prelu,
    "Reciprocal": _elementwise(torch.reciprocal, np.reciprocal),
    "ReduceL2": _reduction(_norm, np.linalg.norm),
    "ReduceMax": _reduction(torch.amax, np.max),
    "ReduceMean": _reduction(torch.mean, np.mean),
    "ReduceMin": _reduction(torch.amin, np.min),
    "ReduceSum": _reduction(torch.sum, np.sum),
    "Relu": _elementwise(torch.relu),
    "Selu": lambda step, x: (
        step.get("gamma", 1.0507010221481323)
        * torch.where(x > 0, x, step.get("alpha", 1.6732631921768188) * torch.expm1(x))
    ),
    "Sigmoid": _elementwise(torch.sigmoid),
    "Sin": _elementwise(torch.sin, np.sin),
    "Softmax": _softmax,
    "Softplus": lambda step, x: torch.logaddexp(x, torch.zeros_like(x)),
    "Softsign": _elementwise(functional.softsign),
    "Sqrt": _elementwise(torch.sqrt, np.sqrt),
    "Sub": _elementwise(torch.sub, np.subtract),
    "Sum": _elementwise(_folded(torch.add), _folded(np.add)),
    "Tanh": _elementwise(torch.tanh),
    "Where": _elementwise(torch.where, np.where),
}
"""Operators by their names in ONNX."""
