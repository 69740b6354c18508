"""The receptive field of an arbitrary module, measured: NaN in, NaN out, for every stride phase.

A NaN voxel reaches exactly the outputs that can depend on it, whatever the weights: through
convolutions, poolings, interpolations and activations. Tiles shifted against each other tell the
stride. Layers that mix the whole tile (instance or group normalisation, global pooling,
attention) spread the NaN everywhere, and are named.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor, nn

from bigunet.errors import ModelError
from bigunet.geometry import round_up
from bigunet.model.mixing import KNOWN_TO_MIX, mixing_layer
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
                raise _off_grid((size,) * self.ndim, scores.shape[2:])
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
    _check_grid(test)
    sizes = [size for n in _SIZES[ndim] if (size := _accepted(test, n)) is not None]
    for size in sizes:
        if _hits(test, size, size // 2) is None:
            break  # out of memory
        poisoned = test.poisoned(size, size // 2)
        if culprit := mixing_layer(test.module, poisoned, KNOWN_TO_MIX):
            raise _refusal(culprit)
        stride = None if _reach(test, size, phases=1) is None else _stride(test, size)
        reach = None if stride is None else _reach(test, size, phases=stride)
        if stride is not None and reach is not None:
            return _field(test, size, stride=stride, reach=reach)
    # The smallest tile: by-hand attention wants gigabytes on larger ones.
    poisoned = test.poisoned(sizes[0], sizes[0] // 2)
    raise _refusal(mixing_layer(test.module, poisoned) or type(test.module).__name__)


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
    """The size from ``smallest`` on that loses least: poolings that round down lose more."""
    losses = test.losses(smallest)
    return min(losses, key=lambda size: (losses[size], size), default=None)


def _check_grid(test: _Probe) -> None:
    """Raise ModelError where the scores are not the image's voxels, less a border."""
    losses = next((found for n in _SIZES[test.ndim] if (found := test.losses(n))), None)
    if losses is None:
        largest = _SIZES[test.ndim][-1]
        raise ModelError(f"the module takes no cubic tile of up to {largest} voxels")
    size, lost = min(losses.items(), key=lambda item: item[1])
    # On a coarser grid the loss grows with the size.
    larger = test.losses(size + MAX_STRIDE).values()
    if lost < 0 or lost % 2 or min(larger, default=lost) != lost:
        raise _off_grid((size,) * test.ndim, (size - lost,) * test.ndim)


def _off_grid(image: Sequence[int], scores: Sequence[int]) -> ModelError:
    return ModelError(
        f"the module maps {tuple(image)} voxels to {tuple(scores)}: not the image's voxel grid, "
        "cut by the same on both sides"
    )


def _stride(test: _Probe, size: int) -> int | None:
    """The smallest shift with which the module commutes, away from the tile's border."""
    for shift in range(1, MAX_STRIDE + 1):
        if _commutes(test, size, shift):
            return shift
    return None


def _commutes(test: _Probe, size: int, shift: int) -> bool:
    """Whether moving the tile by ``shift`` moves the scores in its middle, and nothing else."""
    center = size // 2
    hits, moved = _hits(test, size, center), _hits(test, size, center + shift)
    if hits is None or moved is None:
        return False
    if not np.array_equal(moved, np.roll(hits, (shift,) * test.ndim, range(test.ndim))):
        return False
    # Reach alone does not tell a coarse grid that finer layers hide; values do, unless dead.
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
        hit = _hits(test, size, at)
        if hit is None:
            return None
        border = (size - hit.shape[-1]) // 2
        for axis in range(test.ndim):
            others = tuple(a for a in range(test.ndim) if a != axis)
            where = np.nonzero(hit.any(axis=others))[0] + border
            if where.size == 0:
                continue
            if where[0] == border or where[-1] == size - border - 1:
                return None
            furthest = max(furthest, at - int(where[0]), int(where[-1]) - at)
    return furthest


def _hits(test: _Probe, size: int, at: int) -> np.ndarray | None:
    """Which voxels of the scores depend on the voxel ``at``; None where the tile is refused."""
    if (size, at) not in test.known_hits:
        scores = test.run(test.poisoned(size, at))
        hits = None if scores is None else torch.isnan(scores).any(dim=1)[0].numpy()
        test.known_hits[size, at] = hits
    return test.known_hits[size, at]


def _is_valid(test: _Probe, size: int, stride: int) -> bool:
    """Whether scores at the very rim of a tile are those of a larger one: nothing is padded."""
    larger = test.noise(size + 2 * stride)
    around = test.run(larger)
    scores = test.run(test.cut(larger, stride, stride + size))
    if scores is None or around is None:
        return False
    return _equal(scores, test.cut(around, stride, stride + scores.shape[-1]))


def _refusal(culprit: str) -> ModelError:
    return ModelError(
        f"{culprit}: its output depends on the whole tile, so no halo makes blocks equal to the "
        "whole image; use a network with batch normalisation or none"
    )
