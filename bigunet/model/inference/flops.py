"""Floating-point operations of a module, counted by running it on shapes alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from bigunet.model.inference.turning import Turning
from bigunet.model.networks.network import Network
from bigunet.model.scripted import on_meta


def flop_counter(module: nn.Module, *, in_channels: int) -> Callable[[tuple[int, ...]], int | None]:
    """A function from an input's spatial shape to the operations of one forward pass.

    Multiply and add count as two, as in the literature; only convolutions and matrix products
    count. Nothing is computed and no memory taken, so a whole gigapixel image can be asked for.
    None where the module cannot run on shapes alone, because it looks at its input's values.
    """
    if isinstance(module, Turning):
        return _turned_counter(module, in_channels=in_channels)
    if isinstance(module, Network):
        # The same numbers, without the seconds that torch takes to load its counter.
        return module.config.flops
    shadow = on_meta(module).eval()

    @lru_cache(maxsize=256)
    def count(shape: tuple[int, ...]) -> int | None:
        try:
            with FlopCounterMode(display=False) as counter, torch.inference_mode():
                shadow(torch.empty((1, in_channels, *shape), device="meta"))
        except Exception:  # a module raises what it likes
            return None
        return int(counter.get_total_flops())

    return count


def _turned_counter(
    module: Turning, *, in_channels: int
) -> Callable[[tuple[int, ...]], int | None]:
    """Each turn is a pass of its own; averaging them is not counted."""
    count_pass = flop_counter(module.module, in_channels=in_channels)

    def count(shape: tuple[int, ...]) -> int | None:
        once = count_pass(module.input_shape(shape))
        return None if once is None else len(module.turns) * once

    return count
