"""TorchScript modules that can be copied, pickled and measured like plain modules."""

from __future__ import annotations

import copy
import io
import warnings
from typing import Any

import torch
from torch import Tensor, nn


class Scripted(nn.Module):
    """A module that runs a TorchScript module, and can be copied and pickled.

    Parameters
    ----------
    script : torch.jit.ScriptModule
        The result of ``torch.jit.script``, ``trace`` or ``load``.
    """

    def __init__(self, script: torch.jit.ScriptModule) -> None:
        super().__init__()
        self.script = script

    def forward(self, image: Tensor) -> Tensor:
        """The scores of the TorchScript module."""
        scores: Tensor = self.script(image)
        return scores

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (_bytes_of(self.script), self.training)

    def __deepcopy__(self, memo: dict[int, Any]) -> Scripted:
        return _restored(_bytes_of(self.script), self.training)

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        with warnings.catch_warnings():
            # It reads the gradients of TorchScript's parameters, which are not leaves.
            warnings.filterwarnings("ignore", "The .grad attribute of a Tensor")
            return super()._apply(fn, recurse)  # type: ignore[no-untyped-call]


def on_meta(module: nn.Module) -> nn.Module:
    """A copy without values, with passes that cost nothing; or the module itself.

    The module itself is returned if it cannot be moved: TorchScript refuses ``to("meta")``, and may
    have constants that cannot be loaded there.
    """
    try:
        if isinstance(module, Scripted):
            return _restored(_bytes_of(module.script), module.training, "meta")
        return copy.deepcopy(module).to("meta")
    except (AssertionError, RuntimeError):
        return module


def with_scripts_wrapped(module: nn.Module) -> nn.Module:
    """The module, with each TorchScript module in it (or itself) wrapped as :class:`Scripted`."""
    if isinstance(module, torch.jit.ScriptModule):
        return Scripted(module)
    for parent in list(module.modules()):
        if isinstance(parent, (torch.jit.ScriptModule, Scripted)):
            continue
        for name, child in parent._modules.items():
            if isinstance(child, torch.jit.ScriptModule):
                parent._modules[name] = Scripted(child)
    return module


def _bytes_of(script: torch.jit.ScriptModule) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(script, buffer)
    return buffer.getvalue()


def _restored(content: bytes, training: bool, device: str | None = None) -> Scripted:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        script = torch.jit.load(io.BytesIO(content), map_location=device)  # type: ignore[no-untyped-call]
    return Scripted(script).train(training)
