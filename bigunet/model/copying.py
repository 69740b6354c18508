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
    except (RuntimeError, TypeError, ValueError) as error:
        raise ModelError(
            f"{type(module).__name__} cannot be copied ({str(error).splitlines()[0]}); in place "
            "of torch.nn.utils.weight_norm use torch.nn.utils.parametrizations.weight_norm, or "
            "remove_weight_norm first"
        ) from error
