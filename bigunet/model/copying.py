"""Copies of a caller's module, so that changes to a copy do not reach the module."""

from __future__ import annotations

import copy

from torch import nn

from bigunet.errors import ModelError


def copied(module: nn.Module) -> nn.Module:
    """A copy in evaluation mode.

    Raises
    ------
    ModelError
        If a part of the module cannot be copied, such as the old ``weight_norm``.
    """
    try:
        return copy.deepcopy(module).eval()
    except Exception as error:  # the objects in a module may raise any error
        reason = (str(error).splitlines() or [type(error).__name__])[0][:70]
        advice = "make it a plain module that copy.deepcopy and eval() take"
        if "non-leaf" in reason or "graph leaves" in reason:
            advice = "use torch.nn.utils.parametrizations.weight_norm, or remove_weight_norm first"
        raise ModelError(
            f"{type(module).__name__} cannot be copied ({reason}): {advice}"
        ) from error
