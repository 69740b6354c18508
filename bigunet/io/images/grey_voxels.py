"""The voxels that the grey rule looks at: all of a box, or a sample of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bigunet.geometry import Box, ceil_div
from bigunet.io.images.reader import LevelReader
from bigunet.io.images.spread import grid_boxes, slab_shape, spread_boxes

_SLAB_VOXELS = 2**22
"""Voxels read at once, all channels together, unless one chunk has more."""
_MOST_TRIES = (1, 4, 16)
"""How many times as many boxes are tried where most hold one single value."""
_LEAST_SIDE = 64
"""Voxels along y and x of the boxes of a sample, at least."""
_ENOUGH = 0.25
"""Share of the voxels to look at that needs no further tries."""


class Chosen(Protocol):
    """The voxels of a level that the user asks for."""

    def read(self, box: Box) -> np.ndarray | None:
        """Whether the user asks for each voxel of a box: bool, (*box.shape); None for all."""
        ...


@dataclass(frozen=True, slots=True)
class GreyVoxels:
    """Parts of a box: voxels, and whether the user asks for them.

    Parameters
    ----------
    voxels : list of ndarray, each (channel, *space)
    chosen : list of (ndarray of bool, each (*space), or None)
        None where the user asks for all voxels of the part.
    """

    voxels: list[np.ndarray]
    chosen: list[np.ndarray | None]


def read_all(reader: LevelReader, box: Box, chosen: Chosen | None) -> GreyVoxels:
    """Read all voxels of a box, slab by slab, into one array."""
    voxels = np.empty((reader.num_channels, *box.shape), reader.dtype)
    asked = None if chosen is None else np.ones(box.shape, bool)
    slab = slab_shape(box.shape, _chunk(reader, box), _SLAB_VOXELS // reader.num_channels)
    for part in grid_boxes(box, slab):
        where = part.within(box)
        voxels[(slice(None), *where)] = reader.read(part)
        if chosen is not None and asked is not None:
            named = chosen.read(part)
            asked[where] = True if named is None else named
    return GreyVoxels([voxels], [asked])


def read_sample(
    reader: LevelReader, box: Box, chosen: Chosen | None, max_voxels: int
) -> GreyVoxels:
    """Read evenly spread parts of a box that hold more than one value.

    Where each part holds one value only, the sample is one of them.
    """
    sample, room = GreyVoxels([], []), max_voxels
    seen: set[Box] = set()
    flat: GreyVoxels | None = None
    cell = _grown(_chunk(reader, box))
    for times in _MOST_TRIES:
        for part in spread_boxes(box, cell, times * max_voxels):
            if part in seen or (sample.voxels and part.size > room):
                continue
            seen.add(part)
            voxels, named = _read_part(reader, part, chosen)
            if voxels is None:
                continue
            if all(_is_flat(plane) for plane in voxels):
                flat = flat or GreyVoxels([voxels], [named])
                continue
            sample.voxels.append(voxels)
            sample.chosen.append(named)
            room -= part.size
        if room <= max_voxels * (1 - _ENOUGH):
            break
    return sample if sample.voxels else flat or _read_any(reader, box)


def _read_part(
    reader: LevelReader, part: Box, chosen: Chosen | None
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Voxels of a part, None where none is stored or asked for; and which of them are asked for."""
    named = None if chosen is None else chosen.read(part)
    if named is not None and not named.any():
        return None, named
    return (reader.read(part) if reader.is_stored(part) else None), named


def _read_any(reader: LevelReader, box: Box) -> GreyVoxels:
    """Read one part of a box in which no voxel is stored or asked for."""
    part = next(spread_boxes(box, _chunk(reader, box), 1))
    return GreyVoxels([reader.read(part)], [None])


def _chunk(reader: LevelReader, box: Box) -> tuple[int, ...]:
    return tuple(map(min, reader.chunk, box.shape))


def _grown(chunk: Sequence[int]) -> tuple[int, ...]:
    """Several chunks along y and x where one is small, so that the grey rule sees whole cells."""
    return (*chunk[:-2], *(n * ceil_div(_LEAST_SIDE, n) for n in chunk[-2:]))


def _is_flat(voxels: np.ndarray) -> bool:
    """Whether the finite voxels hold one single value, or there are none."""
    finite = voxels[np.isfinite(voxels)] if voxels.dtype.kind == "f" else voxels
    return not finite.size or bool(np.all(finite == finite.flat[0]))
