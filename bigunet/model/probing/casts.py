"""Ignores casts to shorter floats while a module is measured in float64.

A cast inside the module would round, and rounding would look like a dependence on the tile.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_SHORT = (torch.float32, torch.float16, torch.bfloat16)
_CASTS = (Tensor.float, Tensor.half, Tensor.bfloat16)


class WideCasts(TorchFunctionMode):
    """A context in which casts to shorter floats, and functions that make such, give float64."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _CASTS and args[0].is_floating_point():
            return args[0].double()
        if func in (Tensor.to, Tensor.type):
            args = tuple(_widened(value) for value in args)
            kwargs = {name: _widened(value) for name, value in kwargs.items()}
        output = func(*args, **kwargs)
        if isinstance(output, Tensor) and output.dtype in _SHORT and output.grad_fn is None:
            return output.double()
        return output


def _widened(value: Any) -> Any:
    return torch.float64 if isinstance(value, torch.dtype) and value in _SHORT else value
