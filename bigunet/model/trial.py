"""A module under test: passes over made-up tiles, and whether tiles agree with larger ones.

What is concluded from them is ``bigunet.model.probe``'s work.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor, nn

from bigunet.errors import ModelError
from bigunet.geometry import ceil_div
from bigunet.receptive import ReceptiveField

MAX_STRIDE = 64
# In float64 the rounding noise is 1e-13; a wrong stride was seen to cost at least 1e-6.
_TOLERANCE = 1e-9
_ROUNDING = 1e-13
# Voxels of the larger tile beyond the smaller one, at least, on each side.
_CONTEXT = 8


@dataclass(frozen=True, slots=True)
class Trial:
    """A module under test on cubic tiles, so that one number is the size."""

    module: nn.Module
    in_channels: int
    ndim: int
    known_hits: dict[tuple[int, int], np.ndarray | None] = field(default_factory=dict)

    def losses(self, smallest: int) -> dict[int, int]:
        """Voxels lost per axis by each accepted size among ``MAX_STRIDE`` from ``smallest`` on."""
        on_shapes = replace(self, module=copy.deepcopy(self.module).to("meta"))
        # Shapes alone tell it at no cost, but for modules that make tensors of their own.
        return on_shapes._losses(smallest, "meta") or self._losses(smallest, "cpu")

    def _losses(self, smallest: int, device: str) -> dict[int, int]:
        found = {}
        for size in range(smallest, smallest + MAX_STRIDE):
            shape = (1, self.in_channels, *(size,) * self.ndim)
            scores = self.run(torch.zeros(shape, dtype=torch.float64, device=device))
            if scores is None:
                continue
            lost = {size - n for n in scores.shape[2:]}
            if len(lost) != 1:
                raise off_grid((size,) * self.ndim, scores.shape[2:])
            found[size] = lost.pop()
        return found

    def run(self, image: Tensor) -> Tensor | None:
        """Scores of one tile, or None where the module refuses its size."""
        try:
            with torch.inference_mode():
                scores: Tensor = self.module(image)
        except (RuntimeError, ValueError, AssertionError):
            return None
        if not isinstance(scores, Tensor) or scores.ndim != self.ndim + 2:
            raise ModelError("the module must give one tensor of scores (n, class, *space)")
        return scores

    def noise(self, size: int) -> Tensor:
        generator = torch.Generator().manual_seed(size)
        shape = (1, self.in_channels, *(size,) * self.ndim)
        return torch.rand(shape, generator=generator, dtype=torch.float64)

    def cut(self, tile: Tensor, start: int, stop: int) -> Tensor:
        """The same range of every spatial axis."""
        return tile[(slice(None), slice(None)) + (slice(start, stop),) * self.ndim]

    def poisoned(self, size: int, at: int) -> Tensor:
        """Noise with one NaN voxel on the diagonal."""
        image = self.noise(size)
        self.cut(image, at, at + 1).fill_(torch.nan)
        return image


def off_grid(image: Sequence[int], scores: Sequence[int]) -> ModelError:
    """The error for scores that are not the image's voxels less a border."""
    return ModelError(
        f"the module maps {tuple(image)} voxels to {tuple(scores)}: not the image's voxel grid, "
        "cut by the same on both sides"
    )


def equal(a: Tensor, b: Tensor) -> bool:
    """Whether scores are the same but for rounding; never where one is not finite."""
    allowed = _TOLERANCE * float(a.std(correction=0)) + _ROUNDING * float(a.abs().max())
    return float((a - b).abs().max()) <= allowed


def holds(trial: Trial, found: ReceptiveField) -> bool:
    """Whether tiles cut from a larger one keep its very scores, for tiles of two sizes.

    The tiles start at a multiple of the stride and lie with context on all sides.
    """
    stride, border, halo = found.stride[0], found.border[0], found.halo[0]
    shift = stride * ceil_div(_CONTEXT, stride)
    for kept in (stride, 3 * stride):
        size = found.input_shape((kept,) * trial.ndim)[0]
        around = trial.noise(found.input_shape((kept + 2 * shift,) * trial.ndim)[0])
        whole, scores = trial.run(around), trial.run(trial.cut(around, shift, shift + size))
        if whole is None or scores is None or scores.shape[-1] != size - 2 * border:
            return False
        first, stop = halo - border, size - halo - border
        expected = trial.cut(whole, shift + first, shift + stop)
        if not equal(expected, trial.cut(scores, first, stop)):
            return False
    return True
