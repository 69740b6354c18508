"""A network from a file of another tool: the module, and what the file says of its input."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import torch
from torch import nn

from bigunet.errors import ModelError
from bigunet.extras import how_to_add

_AXES_OF_WEIGHTS = {4: 2, 5: 3}
_IN_PYTHON = "build it in Python and give bigunet.Model.of_module(network, ndim=2, channels=(...))"


@dataclass(frozen=True)
class ForeignModule:
    """A network from a file of another tool.

    Parameters
    ----------
    module : torch.nn.Module
        Maps (n, channel, *space) to scores (n, class, *space).
    kind : str
        What the file is, for people: "ONNX".
    input_shape : tuple of (int or None)
        Sizes (n, channel, *space) that the file states; None where it leaves one open. Empty if it
        states nothing.
    """

    module: nn.Module
    kind: str
    input_shape: tuple[int | None, ...] = ()

    @property
    def tile_shape(self) -> tuple[int, ...]:
        """The one spatial shape that the file states; empty if it leaves a size open."""
        space = self.input_shape[2:]
        sizes = tuple(size for size in space if size is not None)
        return sizes if len(sizes) == len(space) else ()

    def axes_and_channels(self) -> tuple[int, int]:
        """Number of spatial axes and of channels, from the input or else from the first layer.

        Raises
        ------
        ModelError
            If neither says it.
        """
        if self.input_shape:
            ndim, channels = len(self.input_shape) - 2, self.input_shape[1]
            if ndim not in (2, 3):
                raise ModelError(
                    f"the network reads {self.input_shape}; bigunet runs networks that read images "
                    "(n, channel, y, x) or (n, channel, z, y, x)"
                )
            if channels is not None:
                return ndim, channels
        return _of_first_layer(self.module)


def _of_first_layer(module: nn.Module) -> tuple[int, int]:
    """Axes and channels of the first convolution of a module, in the order of its layers."""
    for layer in module.modules():
        weight = getattr(layer, "weight", None)
        if not isinstance(weight, torch.Tensor) or weight.ndim not in _AXES_OF_WEIGHTS:
            continue
        channels = getattr(layer, "in_channels", None)
        known = channels if isinstance(channels, int) else int(weight.shape[1])
        return _AXES_OF_WEIGHTS[weight.ndim], known
    raise ModelError(f"no convolution says how many axes and channels it reads: {_IN_PYTHON}")


def package(name: str, *, extra: str, path: Path, kind: str) -> ModuleType:
    """Import an optional package.

    Raises
    ------
    ModelError
        If it is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ModelError(
            f"{path} is {kind}; install the package that reads it: {how_to_add(extra)}"
        ) from error
