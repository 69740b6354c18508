"""Floating-point operations of a module, counted by a pass without values."""

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
    """A function that returns the operations of one forward pass for an input's spatial shape.

    A multiplication and an addition count as two operations, as in the literature. Only
    convolutions and matrix products count. Nothing is computed and no memory is used, so the shape
    may be that of a whole gigapixel image. The function returns None if the module cannot run
    without values, because it reads its input's values.
    """
    if isinstance(module, Turning):
        return _turned_counter(module, in_channels=in_channels)
    if isinstance(module, Network):
        # The same numbers without torch's counter, which takes seconds to load.
        return module.config.flops
    shadow = on_meta(module).eval()

    @lru_cache(maxsize=256)
    def count(shape: tuple[int, ...]) -> int | None:
        try:
            with FlopCounterMode(display=False) as counter, torch.inference_mode():
                shadow(torch.empty((1, in_channels, *shape), device="meta"))
        except Exception:  # a module may raise any error
            return None
        return int(counter.get_total_flops())

    return count


def _turned_counter(
    module: Turning, *, in_channels: int
) -> Callable[[tuple[int, ...]], int | None]:
    """Each turn counts as one pass; the operations of averaging do not count."""
    count_pass = flop_counter(module.module, in_channels=in_channels)

    def count(shape: tuple[int, ...]) -> int | None:
        once = count_pass(module.input_shape(shape))
        return None if once is None else len(module.turns) * once

    return count
