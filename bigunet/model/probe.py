"""The receptive field of an arbitrary module, measured: NaN in, NaN out, for every stride phase.

A NaN voxel reaches exactly the outputs that can depend on it, whatever the weights: through
convolutions, poolings, interpolations and activations. Tiles shifted against each other tell the
stride. Layers that mix the whole tile (instance or group normalisation, global pooling,
attention) spread the NaN everywhere, and are named.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bigunet.errors import ModelError
from bigunet.geometry import round_up
from bigunet.receptive import ReceptiveField

MAX_STRIDE = 64
# Tile sizes tried, until the reach of one voxel fits.
_SIZES = {2: (48, 96, 192, 384, 768), 3: (32, 64, 128, 192)}
# In float64 the rounding noise is 1e-13; a wrong stride was seen to cost at least 1e-6.
_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class _Probe:
    """A module under test on cubic tiles, so that one number is the size."""

    module: nn.Module
    in_channels: int
    ndim: int

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


def probe(module: nn.Module, *, in_channels: int, ndim: int) -> tuple[ReceptiveField, int]:
    """Receptive field and number of scores of a module in evaluation mode.

    Parameters
    ----------
    module : torch.nn.Module
        Maps (1, in_channels, *space) to (1, scores, *space) on the same voxel grid.

    Raises
    ------
    ModelError
        If the module takes no cubic tile, changes the voxel grid, or has a layer whose output
        depends on the whole tile; the message names the layer.
    """
    if ndim not in _SIZES:
        raise ModelError(f"a module of {ndim} spatial axes; bigunet runs 2 and 3")
    # float64 tells a dependence on the tile from rounding.
    test = _Probe(copy.deepcopy(module).cpu().double().eval(), in_channels, ndim)
    for smallest in _SIZES[ndim]:
        size = _accepted(test, smallest)
        if size is None or _reach(test, size, phases=1) is None:
            continue
        stride = _stride(test, size)
        if stride is None:
            continue
        reach = _reach(test, size, phases=stride)
        if reach is not None:
            return _field(test, size, stride=stride, reach=reach)
    raise ModelError(_refusal(test))


def _field(test: _Probe, size: int, *, stride: int, reach: int) -> tuple[ReceptiveField, int]:
    scores = test.run(test.noise(size))
    assert scores is not None
    border = (size - scores.shape[-1]) // 2
    if border and _is_valid(test, size, stride):
        halo = border
    else:
        halo = round_up(max(reach, border), stride)
    values = (stride, border, halo, size % stride)
    return ReceptiveField(*((v,) * test.ndim for v in values)), int(scores.shape[1])


def _accepted(test: _Probe, smallest: int) -> int | None:
    """The first size from ``smallest`` on that the module accepts."""
    for size in range(smallest, smallest + MAX_STRIDE):
        scores = test.run(test.noise(size))
        if scores is None:
            continue
        lost = {size - n for n in scores.shape[2:]}
        if len(lost) != 1 or min(lost) < 0 or min(lost) % 2:
            raise ModelError(
                f"the module maps {(size,) * test.ndim} voxels to {tuple(scores.shape[2:])}: not "
                "the image's voxel grid, cut by the same on both sides"
            )
        return size
    return None


def _stride(test: _Probe, size: int) -> int | None:
    """The smallest shift with which the module commutes, away from the tile's border."""
    for shift in range(1, MAX_STRIDE + 1):
        if _commutes(test, size, shift):
            return shift
    return None


def _commutes(test: _Probe, size: int, shift: int) -> bool:
    """Whether moving the tile by ``shift`` moves the scores in its middle, and nothing else."""
    larger = test.noise(size + shift)
    here = test.run(test.cut(larger, 0, size))
    there = test.run(test.cut(larger, shift, size + shift))
    if here is None or there is None:
        return False
    middle = here.shape[-1] // 2
    # As wide as one period, or a wrong stride would pass by luck; as narrow as padding leaves.
    half = max(shift, here.shape[-1] // 16)
    start, stop = middle, min(middle + half, here.shape[-1])
    if start < shift:
        return False
    return _equal(test.cut(here, start, stop), test.cut(there, start - shift, stop - shift))


def _equal(a: Tensor, b: Tensor) -> bool:
    return float((a - b).abs().max()) <= _TOLERANCE * max(float(a.std()), 1e-30)


def _reach(test: _Probe, size: int, *, phases: int) -> int | None:
    """How far a voxel acts on either side, over phases; None if up to the tile's border."""
    furthest = 0
    for phase in range(phases):
        at = size // 2 + phase
        scores = test.run(test.poisoned(size, at))
        assert scores is not None
        border = (size - scores.shape[-1]) // 2
        hit = torch.isnan(scores).any(dim=1)[0].numpy()
        for axis in range(test.ndim):
            others = tuple(a for a in range(test.ndim) if a != axis)
            where = np.nonzero(hit.any(axis=others))[0] + border
            if where.size == 0:
                continue
            if where[0] == border or where[-1] == size - border - 1:
                return None
            furthest = max(furthest, at - int(where[0]), int(where[-1]) - at)
    return furthest


def _is_valid(test: _Probe, size: int, stride: int) -> bool:
    """Whether scores at the very rim of a tile are those of a larger one: nothing is padded."""
    larger = test.noise(size + 2 * stride)
    around = test.run(larger)
    scores = test.run(test.cut(larger, stride, stride + size))
    if scores is None or around is None:
        return False
    return _equal(scores, test.cut(around, stride, stride + scores.shape[-1]))


def _refusal(test: _Probe) -> str:
    """Why no tile was good enough, with the first layer that spreads a NaN everywhere."""
    size = next((n for s in _SIZES[test.ndim] if (n := _accepted(test, s))), None)
    if size is None:
        return f"the module takes no cubic tile of up to {_SIZES[test.ndim][-1]} voxels"
    found: list[str] = []
    hooks = [
        layer.register_forward_hook(_watcher(found, f"layer {name!r} ({type(layer).__name__})"))
        for name, layer in test.module.named_modules()
        if name and not list(layer.children())
    ]
    test.run(test.poisoned(size, size // 2))
    for hook in hooks:
        hook.remove()
    culprit = found[0] if found else type(test.module).__name__
    return (
        f"{culprit}: its output depends on the whole tile, so no halo makes blocks equal to the "
        "whole image; use a network with batch normalisation or none"
    )


def _watcher(found: list[str], label: str) -> Callable[..., None]:
    def watch(layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if not (inputs and isinstance(inputs[0], Tensor) and isinstance(output, Tensor)):
            return
        if torch.isnan(output).all() and not torch.isnan(inputs[0]).all():
            found.append(label)

    return watch
