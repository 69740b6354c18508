"""Errors for modules that do not take their images: which layer expects which axes or channels."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from bigunet.errors import ModelError
from bigunet.model.probing.trial import Trial

_CONVOLUTIONS: dict[type[nn.Module], int] = {
    nn.Conv1d: 1,
    nn.Conv2d: 2,
    nn.Conv3d: 3,
    nn.ConvTranspose1d: 1,
    nn.ConvTranspose2d: 2,
    nn.ConvTranspose3d: 3,
}


def refused_tiles(test: Trial, largest: int) -> ModelError:
    """The error for a module that accepts no tile of any size."""
    failure = test.failures[-1] if test.failures else None
    line = str(failure).strip().splitlines()[0][:80] if failure and str(failure).strip() else ""
    reason = f" ({type(failure).__name__}: {line})" if failure else ""
    return ModelError(
        f"the module takes no cubic tile of up to {largest} voxels{reason}: check channels and ndim"
    )


def refuse_misread(test: Trial, size: int) -> None:
    """Raise ModelError if a convolution would misread the axes or channels of the image."""
    wrong = _misread(test, size)
    if wrong is not None:
        raise wrong


def _misread(test: Trial, size: int) -> ModelError | None:
    """The error for the first convolution with an input that it cannot take."""
    errors: list[ModelError] = []

    def check(layer: nn.Module, inputs: tuple[Any, ...], path: str) -> None:
        if errors or not inputs or not isinstance(inputs[0], Tensor):
            return
        wrong = _wrong_input(test, path, layer, inputs[0])
        if wrong is not None:
            errors.append(wrong)

    hooks = [
        layer.register_forward_pre_hook(lambda m, i, path=path: check(m, i, path))
        for path, layer in test.module.named_modules()
        if type(layer) in _CONVOLUTIONS  # a subclass may change what it reads
    ]
    try:
        test.run(test.noise(size))
    except ModelError:
        if not errors:
            raise
    finally:
        for hook in hooks:
            hook.remove()
    return errors[0] if errors else None


def _wrong_input(test: Trial, path: str, layer: nn.Module, given: Tensor) -> ModelError | None:
    axes = _CONVOLUTIONS[type(layer)]
    name = f"layer {path[-60:]!r} ({type(layer).__name__})" if path else type(layer).__name__
    if given.ndim != axes + 2:
        return ModelError(
            f"{name} reads images of {axes} spatial axes, but is given {given.ndim - 2}: "
            f"ndim is {test.ndim}; give ndim={axes}, or another network"
        )
    channels = getattr(layer, "in_channels", None)
    if not isinstance(channels, int) or given.shape[1] == channels:
        return None
    if given.shape[1] == test.in_channels:
        return ModelError(
            f"{name} reads {channels} channels, but the image is said to have {test.in_channels}: "
            f"give channels=(...) with {channels} names"
        )
    return ModelError(f"{name} reads {channels} channels, but is given {given.shape[1]}")
