"""Copies of a caller's module, so that nothing done to them reaches it."""

from __future__ import annotations

import copy

from torch import nn

from bigunet.errors import ModelError


def copied(module: nn.Module) -> nn.Module:
    """A copy in evaluation mode.

    Raises
    ------
    ModelError
        If the module holds what cannot be copied, as the old ``weight_norm`` does.
    """
    try:
        return copy.deepcopy(module).eval()
    except Exception as error:  # what the copied objects raise is theirs to choose
        said = (str(error).splitlines() or [type(error).__name__])[0][:70]
        advice = "make it a plain module that copy.deepcopy and eval() take"
        if "non-leaf" in said or "graph leaves" in said:
            advice = "use torch.nn.utils.parametrizations.weight_norm, or remove_weight_norm first"
        raise ModelError(f"{type(module).__name__} cannot be copied ({said}): {advice}") from error
