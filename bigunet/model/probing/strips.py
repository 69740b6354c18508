"""Modules that no halo makes local, refused early: tiles that are long along one axis tell it.

Both tiles of a comparison lie between the same rows, so what the module does at the rim across
the strip is the same in both, and only the long axis needs room. A strip costs a small part of
the cubic tile of that length.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from bigunet.errors import ModelError
from bigunet.geometry import ceil_div
from bigunet.model.probing.fault import spreading_call, uneven_call
from bigunet.model.probing.scores import module_name
from bigunet.model.probing.trial import MAX_STRIDE, Trial, equal

# Each stride up to MAX_STRIDE divides one of these; those of usual strides come first.
LIKELY_STEPS = tuple(
    dict.fromkeys((64, 48, 60, 56, 54, 50, *range(MAX_STRIDE, MAX_STRIDE // 2, -1)))
)
# What resizes to its input's size is regular only where the length is a whole number of strides:
# lengths, with shifts of which a stride divides both.
_REGULAR = {960: (64, 60, 48), 1008: (63, 56, 48)}
# Voxels compared, at least.
_COMPARED = 16
_ADVICE = {True: "use align_corners=False", False: "take it out of the module"}


@dataclass(frozen=True, slots=True)
class _Strips:
    """Tiles of ``width`` voxels, except along one axis.

    Parameters
    ----------
    test : Trial
    width, lost : int
        A size that the module accepts, and how many voxels it loses of it.
    axis : int
        Spatial.
    """

    test: Trial
    width: int
    lost: int
    axis: int

    @property
    def dim(self) -> int:
        """The long axis, of a tensor."""
        return self.axis + 2

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

    def run(self, image: Tensor) -> Tensor | None:
        """Scores of a strip; None if it is refused, or is not cut as cubic tiles are."""
        scores = self.test.run(image)
        wanted = tuple(n - self.lost for n in image.shape[2:])
        return None if scores is None or tuple(scores.shape[2:]) != wanted else scores

    def hits(self, length: int) -> np.ndarray | None:
        """Where along the strip the scores depend on its middle voxel; None if it is refused."""
        image = self.image(length)
        middle = tuple(slice(n // 2, n // 2 + 1) for n in self.shape(length))
        image[(slice(None), slice(None), *middle)] = torch.nan
        scores = self.run(image)
        if scores is None:
            return None
        hit = torch.isnan(scores).any(dim=1)[0].movedim(self.axis, 0)
        return hit.reshape(hit.shape[0], -1).any(dim=1).numpy()

    def moves_along(self, length: int, shifts: Iterable[int], rim: int) -> bool | None:
        """Whether the scores move along with a strip, by any shift; None if it is refused.

        Parameters
        ----------
        rim : int
            Voxels at both ends of a strip that its ends may act on.
        """
        around = self.image(length + MAX_STRIDE)
        here = self.run(around.narrow(self.dim, 0, length))
        if here is None:
            return None
        start = rim - self.lost // 2
        for shift in shifts:
            there = self.run(around.narrow(self.dim, shift, length))
            if there is None:
                return None
            kept = length - 2 * rim - shift
            a = here.narrow(self.dim, start + shift, kept)
            if equal(a, there.narrow(self.dim, start, kept)):
                return True
        return False


def refuse_what_is_not_local(test: Trial, width: int, lost: int, lengths: tuple[int, ...]) -> None:
    """Raise ModelError where a module's scores depend on the whole tile, or on its place.

    Where it refuses oblong tiles, or where these do not tell it, nothing is raised.

    Parameters
    ----------
    width, lost : int
        A size that the module accepts, and how many voxels it loses of it.
    lengths : tuple of int
        Lengths tried, until the reach of one voxel fits.
    """
    for axis in range(test.ndim):
        strips = _Strips(test, width, lost, axis)
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
        border = strips.lost // 2
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
    """Raise ModelError where no shift of the strip moves the scores along."""
    # The reach was measured for one phase of a stride.
    rim = reach + MAX_STRIDE
    smallest = 2 * rim + MAX_STRIDE + _COMPARED
    for length in strips.lengths(smallest):
        moves = strips.moves_along(length, LIKELY_STEPS, rim)
        if moves is not None:
            break
    else:
        return
    regular = any(
        strips.moves_along(whole * ceil_div(smallest, whole), shifts, rim)
        for whole, shifts in _REGULAR.items()
        if not moves
    )
    if not moves and not regular:
        raise _uneven(strips, length)


def _uneven(strips: _Strips, length: int) -> ModelError:
    test = strips.test
    around = strips.image(length + MAX_STRIDE)
    tile_at = partial(around.narrow, strips.dim, length=length)
    at_fault = uneven_call(test.module, tile_at, axis=strips.axis, ndim=test.ndim)
    return ModelError(
        f"{at_fault or module_name(test.module)}: its output depends on the whole tile's size "
        "or place, so blocks cannot equal the whole image; "
        + _ADVICE["interpolate" in (at_fault or "")]
    )


def whole_tile(test: Trial, size: int) -> ModelError:
    """The error for a module one of whose voxels acts on the whole tile."""
    at_fault = spreading_call(test.module, test.poisoned(size, size // 2))
    return spread_everywhere(at_fault or module_name(test.module))


def spread_everywhere(culprit: str) -> ModelError:
    """The error for a call or layer that spreads one voxel over the whole tile."""
    return ModelError(
        f"{culprit}: its output depends on the whole tile, so blocks cannot equal the whole image; "
        "use batch normalisation, or take it out"
    )
