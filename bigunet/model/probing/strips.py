"""Refuses modules that no halo makes local, early: tiles that are long along one axis show them.

Such a tile is called a strip here. Both strips of a comparison lie between the same rows, so that
the module does the same at their long sides, and only the long axis needs room. A strip costs a
small part of a cubic tile of that length.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from bigunet.errors import InexactError, ModelError
from bigunet.geometry import ceil_div
from bigunet.model.probing.fault import spreading_call, uneven_call
from bigunet.model.probing.scores import module_name
from bigunet.model.probing.trial import MAX_STRIDE, Trial, equal

# Each stride up to MAX_STRIDE divides one of these steps; multiples of usual strides come first.
LIKELY_STEPS = tuple(
    dict.fromkeys((64, 48, 60, 56, 54, 50, *range(MAX_STRIDE, MAX_STRIDE // 2, -1)))
)
# A module that resizes to its input's size is regular only if the length is a whole number of
# strides. For each length here, a usual stride divides the length and one of its shifts.
_REGULAR = {960: (64, 60, 48), 1008: (63, 56, 48)}
# The smallest number of voxels to compare.
_COMPARED = 16
_ADVICE = {True: "use align_corners=False", False: "take it out of the module"}


@dataclass(frozen=True, slots=True)
class _Strips:
    """Tiles with ``width`` voxels along each axis except one.

    Parameters
    ----------
    test : Trial
    width, lost : int
        A size that the module accepts, and the number of voxels that the scores lose.
    axis : int
        The long spatial axis.
    """

    test: Trial
    width: int
    lost: int
    axis: int

    @property
    def dim(self) -> int:
        """The long axis as an axis of a tensor."""
        return self.axis + 2

    def shape(self, length: int) -> tuple[int, ...]:
        test = self.test
        return tuple(length if a == self.axis else self.width for a in range(test.ndim))

    def image(self, length: int) -> Tensor:
        generator = torch.Generator().manual_seed(length)
        shape = (1, self.test.in_channels, *self.shape(length))
        return torch.rand(shape, generator=generator, dtype=torch.float64)

    def lengths(self, smallest: int) -> Iterator[int]:
        """Lengths of at least ``smallest`` that may be accepted, the most likely ones first."""
        for step in LIKELY_STEPS:
            yield self.width + step * max(0, -((self.width - smallest) // step))

    def run(self, image: Tensor) -> Tensor | None:
        """Scores of a strip; None if it is refused, or loses other voxels than a cubic tile."""
        scores = self.test.run(image)
        expected = tuple(n - self.lost for n in image.shape[2:])
        return None if scores is None or tuple(scores.shape[2:]) != expected else scores

    def hits(self, length: int) -> np.ndarray | None:
        """Where along the strip scores depend on its middle voxel; None if it is refused."""
        image = self.image(length)
        middle = tuple(slice(n // 2, n // 2 + 1) for n in self.shape(length))
        image[(slice(None), slice(None), *middle)] = torch.nan
        scores = self.run(image)
        if scores is None:
            return None
        hit = torch.isnan(scores).any(dim=1)[0].movedim(self.axis, 0)
        return hit.reshape(hit.shape[0], -1).any(dim=1).numpy()

    def moves_along(self, length: int, shifts: Iterable[int], rim: int) -> bool | None:
        """Whether the scores move along with a strip for one of the shifts; None if it is refused.

        Parameters
        ----------
        rim : int
            Number of voxels at both ends that the ends of a strip may change.
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
    """Raise ModelError if a module's scores depend on the whole tile, or on its place.

    Nothing is raised if the module refuses strips, or if strips do not show it.

    Parameters
    ----------
    width, lost : int
        A size that the module accepts, and the number of voxels that the scores lose.
    lengths : tuple of int
        Lengths to try, until the reach of one voxel fits.
    """
    for axis in range(test.ndim):
        strips = _Strips(test, width, lost, axis)
        reach = _reach(strips, lengths)
        if reach is not None:
            _check_moves_along(strips, reach)


def _reach(strips: _Strips, lengths: tuple[int, ...]) -> int | None:
    """How many voxels far a voxel acts along the strip; None if that cannot be measured."""
    for smallest in lengths:
        accepted = _first_accepted(strips, smallest)
        if accepted is None:
            return None
        length, hit = accepted
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
    """Raise ModelError if no shift of the strip moves the scores along."""
    # One stride more than the reach, which was measured for only one phase of the stride.
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
    return InexactError(
        f"{at_fault or module_name(test.module)}: its output depends on the whole tile's size "
        "or place, so blocks cannot equal the whole image; "
        + _ADVICE["interpolate" in (at_fault or "")]
    )


def whole_tile(test: Trial, size: int) -> ModelError:
    """The error for a module in which one voxel acts on the whole tile."""
    at_fault = spreading_call(test.module, test.poisoned(size, size // 2))
    return spread_everywhere(at_fault or module_name(test.module))


def spread_everywhere(culprit: str) -> ModelError:
    """The error for a call or layer that spreads one voxel over the whole tile."""
    return InexactError(
        f"{culprit}: its output depends on the whole tile, so blocks cannot equal the whole image; "
        "use batch normalisation, or take it out"
    )
