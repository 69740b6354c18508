"""The calls that a module makes in one pass: names, places in the code, inputs and outputs.

``bigunet.model.probing.fault`` decides which call is at fault.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, resolve_name

_TORCH = os.path.dirname(torch.__file__)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a function of torch.

    Parameters
    ----------
    name : str
        The name in torch's documentation: "torch.nn.functional.interpolate".
    layer, layer_type : str
        Path and type of the innermost layer around the call; the path is empty for the module
        itself.
    built_in : bool
        Whether that layer is one of torch's.
    line : str
        File name and line of the caller's code; empty if unknown.
    inputs : tuple of Tensor
        Copies from before the call.
    output : Tensor
    """

    name: str
    layer: str
    layer_type: str
    built_in: bool
    line: str
    inputs: tuple[Tensor, ...]
    output: Tensor

    def __str__(self) -> str:
        path = self.layer if len(self.layer) <= 60 else f"…{self.layer[-59:]}"
        layer = f"layer {path!r} ({self.layer_type})" if path else self.layer_type
        if self.built_in:
            return layer
        return f"{self.name.removeprefix('torch.nn.')} in {layer}" + (
            f", {self.line}" if self.line else ""
        )


class _Recorder(TorchFunctionMode):
    """Records each call with copies of its inputs and results, because these may change later."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self._layers: list[tuple[str, nn.Module]] = [("", module)]
        self._kept: dict[int, tuple[Tensor, Tensor]] = {}

    def enter(self, path: str, layer: nn.Module) -> None:
        self._layers.append((path, layer))

    def leave(self) -> None:
        self._layers.pop()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = [self._as_kept(value) for value in _tensors((args, kwargs or {}))]
        output = func(*args, **(kwargs or {}))
        results = list(_tensors(output))
        if results and not getattr(func, "__name__", "").startswith(("__get__", "__set__")):
            path, layer = self._layers[-1]
            for result in results:
                kept = result.clone()
                # The result itself is kept too, so that no other tensor gets its id.
                self._kept[id(result)] = (result, kept)
                self.calls.append(
                    Call(
                        name=resolve_name(func) or getattr(func, "__name__", str(func)),
                        layer=path,
                        layer_type=type(layer).__name__,
                        built_in=type(layer).__module__.startswith("torch."),
                        line=_line(sys._getframe(1)),
                        inputs=tuple(given),
                        output=kept,
                    )
                )
        return output

    def _as_kept(self, value: Tensor) -> Tensor:
        known = self._kept.get(id(value))
        if known is None:
            known = self._kept[id(value)] = (value, value.clone())
        return known[1]


def record_calls(module: nn.Module, image: Tensor) -> list[Call]:
    """The calls of one pass, in order, without those inside TorchScript.

    Inputs and outputs are copies. If the output of one call is the input of another call, both are
    the same object.
    """
    recorder = _Recorder(module)
    hooks = []
    for path, layer in module.named_modules():
        if path and not isinstance(layer, torch.jit.ScriptModule):
            hooks.append(
                layer.register_forward_pre_hook(lambda m, _, path=path: recorder.enter(path, m))
            )
            hooks.append(layer.register_forward_hook(lambda *_: recorder.leave()))
    try:
        with torch.inference_mode(), recorder:
            module(image.clone())
    finally:
        for hook in hooks:
            hook.remove()
    return recorder.calls


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for one in value:
            yield from _tensors(one)
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))


def _line(frame: FrameType | None) -> str:
    """File and line of the innermost frame that is neither in torch nor in this file."""
    while frame is not None:
        path = frame.f_code.co_filename
        if path == __file__ and frame.f_code.co_name == record_calls.__name__:
            return ""
        if path != __file__ and not path.startswith((_TORCH, "<")):
            return f"{os.path.basename(path)}:{frame.f_lineno}"
        frame = frame.f_back
    return ""
