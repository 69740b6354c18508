"""The steps of an ONNX graph, and the two kinds of values between them.

Pixels and weights are tensors. Sizes, and what is computed from sizes, are NumPy arrays: they have
values also where tensors have none, as on torch's meta device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bigunet.errors import ModelError

Value = Tensor | np.ndarray
"""A value between two steps."""


@dataclass(frozen=True)
class Step:
    """A node of an ONNX graph.

    Parameters
    ----------
    kind : str
        The operator: "Conv".
    inputs, outputs : tuple of str
        Names of values; an empty name is an input that is left out.
    attributes : mapping
    opset : int
        Version of the operators.
    """

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    opset: int

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute."""
        return self.attributes.get(name, default)

    def refuse(self, what: str) -> ModelError:
        """The error for a form of the operator that bigunet does not run."""
        return ModelError(
            f"ONNX operator {self.kind} {what}, which bigunet does not run: export the network "
            "another way, or give the PyTorch network that it was made from"
        )


Operator = Callable[..., Any]
"""Computes a step: takes the step and its inputs, and returns a value, or a tuple of values."""


def as_tensor(value: Any, like: Tensor) -> Tensor:
    """A value as a tensor on the device of ``like``; fractions get its type."""
    if isinstance(value, Tensor):
        return value
    array = np.asarray(value)
    dtype = like.dtype if array.dtype.kind == "f" and like.is_floating_point() else None
    return torch.as_tensor(array, dtype=dtype, device=like.device)


def numbers(value: Any) -> list[int]:
    """A host value as whole numbers."""
    return [int(number) for number in np.asarray(value).reshape(-1)]


def tensor_in(values: tuple[Any, ...]) -> Tensor | None:
    """The first tensor among values, fractions before whole numbers; None if there is none."""
    tensors = [value for value in values if isinstance(value, Tensor)]
    return next((t for t in tensors if t.is_floating_point()), tensors[0] if tensors else None)
