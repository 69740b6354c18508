"""Layers that mix the whole tile: a NaN shows them, because they spread it everywhere.

``bigunet.model.probing.probe`` measures modules without such layers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

# If one of these spreads a NaN everywhere, it does so in larger tiles, too.
KNOWN_TO_MIX = (
    nn.AdaptiveAvgPool2d,
    nn.AdaptiveAvgPool3d,
    nn.AdaptiveMaxPool2d,
    nn.AdaptiveMaxPool3d,
    nn.GroupNorm,
    nn.InstanceNorm2d,
    nn.InstanceNorm3d,
    nn.MultiheadAttention,
)


def mixing_layer(
    module: nn.Module, poisoned: Tensor, kinds: tuple[type[nn.Module], ...] = (nn.Module,)
) -> str | None:
    """Name and type of the layer that spreads a NaN everywhere; None if there is none.

    If there are several, it is the layer with the fewest NaNs in its input: deep convolutions also
    fill a small tile.

    Parameters
    ----------
    poisoned : Tensor, (1, channel, *space)
        An image with one NaN voxel.
    kinds : tuple of module types
        The types of layers to examine.
    """
    shares: dict[str, float] = {}
    hooks = [
        layer.register_forward_hook(_watcher(shares, name))
        for name, layer in module.named_modules()
        if name and isinstance(layer, kinds)
    ]
    try:
        with torch.inference_mode():
            module(poisoned)
    finally:
        for hook in hooks:
            hook.remove()
    innermost = [n for n in shares if not any(m.startswith(f"{n}.") for m in shares)]
    if not innermost:
        return None
    culprit = min(innermost, key=lambda name: shares[name])
    return f"layer {culprit!r} ({type(module.get_submodule(culprit)).__name__})"


def _watcher(shares: dict[str, float], name: str) -> Callable[..., None]:
    def watch(layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        given = output[0] if isinstance(output, tuple) else output
        if not (inputs and isinstance(inputs[0], Tensor) and isinstance(given, Tensor)):
            return
        share = float(torch.isnan(inputs[0]).double().mean())
        if share < 1 and torch.isnan(given).all():
            shares[name] = share

    return watch
