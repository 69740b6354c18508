"""Modules that no halo makes local, refused early: tiles that are long along one axis tell it.

Both tiles of a comparison lie between the same rows, so what the module does at the rim across
the strip is the same in both, and only the long axis needs room. A strip costs a small part of
the cubic tile of that length.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from bigunet.errors import ModelError
from bigunet.model.fault import named, spreading_call, uneven_call
from bigunet.model.trial import MAX_STRIDE, Trial, equal

# Each stride up to MAX_STRIDE divides one of these; those of usual strides come first.
LIKELY_STEPS = tuple(
    dict.fromkeys((64, 48, 60, 56, 54, 50, *range(MAX_STRIDE, MAX_STRIDE // 2, -1)))
)
# Voxels compared, at least.
_COMPARED = 16


@dataclass(frozen=True, slots=True)
class _Strips:
    """Tiles of ``width`` voxels, except along one axis.

    Parameters
    ----------
    test : Trial
    width : int
        A size that the module accepts.
    axis : int
        Spatial.
    """

    test: Trial
    width: int
    axis: int

    def shape(self, length: int) -> tuple[int, ...]:
        test = self.test
        return tuple(length if a == self.axis else self.width for a in range(test.ndim))

    def image(self, length: int) -> Tensor:
        generator = torch.Generator().manual_seed(length)
        shape = (1, self.test.in_channels, *self.shape(length))
        return torch.rand(shape, generator=generator, dtype=torch.float64)

    def lengths(self, smallest: int) -> Iterator[int]:
        """Lengths from ``smallest`` on that may be accepted, the most likely first."""
        for step in LIKELY_STEPS:
            yield self.width + step * max(0, -((self.width - smallest) // step))

    def hits(self, length: int) -> np.ndarray | None:
        """Where along the strip the scores depend on its middle voxel; None if it is refused."""
        image = self.image(length)
        middle = tuple(slice(n // 2, n // 2 + 1) for n in self.shape(length))
        image[(slice(None), slice(None), *middle)] = torch.nan
        scores = self.test.run(image)
        if scores is None:
            return None
        hit = torch.isnan(scores).any(dim=1)[0].movedim(self.axis, 0)
        return hit.reshape(hit.shape[0], -1).any(dim=1).numpy()


def refuse_what_is_not_local(test: Trial, width: int, lengths: tuple[int, ...]) -> None:
    """Raise ModelError where a module's scores depend on the whole tile, or on its place.

    Where it refuses oblong tiles, or where these do not tell it, nothing is raised.

    Parameters
    ----------
    width : int
        A size that the module accepts.
    lengths : tuple of int
        Lengths tried, until the reach of one voxel fits.
    """
    for axis in range(test.ndim):
        strips = _Strips(test, width, axis)
        reach = _reach(strips, lengths)
        if reach is not None:
            _check_moves_along(strips, reach)


def _reach(strips: _Strips, lengths: tuple[int, ...]) -> int | None:
    """How far a voxel acts along the strip; None if it is not to be told."""
    for smallest in lengths:
        found = _first_accepted(strips, smallest)
        if found is None:
            return None
        length, hit = found
        border = (length - len(hit)) // 2
        where = np.nonzero(hit)[0] + border
        if where.size == 0:
            return None
        if where[0] > border and where[-1] < length - border - 1:
            return max(length // 2 - int(where[0]), int(where[-1]) - length // 2)
    raise whole_tile(strips.test, strips.width)


def _first_accepted(strips: _Strips, smallest: int) -> tuple[int, np.ndarray] | None:
    for length in strips.lengths(smallest):
        hit = strips.hits(length)
        if hit is not None:
            return length, hit
    return None


def _check_moves_along(strips: _Strips, reach: int) -> None:
    """Raise ModelError where no shift of the tile moves the scores along."""
    # The reach was measured for one phase of a stride.
    rim = reach + MAX_STRIDE
    for length in strips.lengths(2 * rim + MAX_STRIDE + _COMPARED):
        around = strips.image(length + MAX_STRIDE)
        tile_at = partial(around.narrow, strips.axis + 2, length=length)
        here = strips.test.run(tile_at(0))
        if here is not None:
            break
    else:
        return
    border = (length - here.shape[strips.axis + 2]) // 2
    for shift in LIKELY_STEPS:
        there = strips.test.run(tile_at(shift))
        if there is None:
            return
        kept = length - 2 * rim - shift
        a = here.narrow(strips.axis + 2, rim + shift - border, kept)
        b = there.narrow(strips.axis + 2, rim - border, kept)
        if equal(a, b):
            return
    test = strips.test
    at_fault = uneven_call(test.module, tile_at, axis=strips.axis, ndim=test.ndim)
    raise ModelError(
        f"{named((at_fault,), type(test.module).__name__)}: its output depends on the whole "
        "tile's size or place, so blocks cannot equal the whole image; "
        + _ADVICE.get(bool(at_fault and "interpolate" in at_fault), _ADVICE[False])
    )


_ADVICE = {True: "use align_corners=False", False: "take it out of the module"}


def whole_tile(test: Trial, size: int) -> ModelError:
    """The error for a module one of whose voxels acts on the whole tile."""
    at_fault = spreading_call(test.module, test.poisoned(size, size // 2))
    return spread_everywhere(named((at_fault,), type(test.module).__name__))


def spread_everywhere(culprit: str) -> ModelError:
    """The error for a call or layer that spreads one voxel over the whole tile."""
    return ModelError(
        f"{culprit}: its output depends on the whole tile, so no halo makes blocks equal to the "
        "whole image; use batch normalisation, or take it out"
    )
