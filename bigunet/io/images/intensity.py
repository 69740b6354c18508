"""Grey values of a whole image, so that normalisation is fixed before the first block.

This module reads the voxels. :mod:`bigunet.io.images.spread` says where they lie, and
:mod:`bigunet.grey.range_rule` which of them count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from bigunet.errors import ImageError, OptionError
from bigunet.geometry import Box, ceil_div
from bigunet.grey.quantiles import check_quantiles
from bigunet.grey.range_rule import GreyValues, grey_values
from bigunet.io.images.multiscale import Multiscale
from bigunet.io.images.occupancy import StoredChunks
from bigunet.io.images.spread import grid_boxes, slab_shape, spread_boxes
from bigunet.io.images.volume import VolumeReader

_SLAB_VOXELS = 2**22
"""Voxels read at once, all channels together, unless one chunk has more."""
_MOST_TRIES = (1, 4, 16)
"""How many times as many boxes are tried where most hold one single value."""
_LEAST_SIDE = 64
"""Voxels along y and x of the boxes of a sample, at least."""
_ENOUGH = 0.25
"""Share of the voxels to look at that need no further tries."""


class Chosen(Protocol):
    """Which voxels of a level the user asks for."""

    def read(self, box: Box) -> np.ndarray | None:
        """Whether each voxel of a box is wanted: bool, of the box's shape; None for all."""
        ...


@dataclass(frozen=True, slots=True)
class Intensity:
    """Percentiles of an image's voxels, and where they were measured.

    Parameters
    ----------
    level : int
        The level that was read.
    sampled : bool
        Whether only a part of the level was read.
    channels : tuple of GreyValues
        Of each channel.
    """

    level: int
    sampled: bool
    channels: tuple[GreyValues, ...]

    @property
    def values(self) -> tuple[tuple[float, ...], ...]:
        """Per channel, the value at each quantile."""
        return tuple(channel.values for channel in self.channels)


def percentiles(
    image: Multiscale,
    quantiles: Sequence[float],
    *,
    channels: Sequence[int],
    region: tuple[int, Box] | None = None,
    others: Sequence[float] = (),
    chosen: Callable[[int], Chosen] | None = None,
    max_voxels: int = 2**24,
) -> Intensity:
    """Measure percentiles of each channel over all time points and planes.

    Exact for the largest level of at most ``max_voxels`` voxels. Where no level is that small,
    evenly spaced chunks of the smallest level are read instead, and more of them where most hold
    one single value. Levels with another dtype than the one that is segmented are passed over.
    Which voxels count
    is the rule of :func:`bigunet.grey.range_rule.grey_values`.

    Parameters
    ----------
    image : Multiscale
    quantiles : sequence of float
        In percent, 0 to 100.
    channels : sequence of int
        Which channels to measure, in this order.
    region : tuple of int and Box, optional
        The level that is segmented, and the part of it to measure; by default all of level 0.
    others : sequence of float, optional
        Further quantiles of the same voxels, which outliers do not move.
    chosen : callable, optional
        Gives, for a level, the voxels that the user asks for; by default all.
    max_voxels : int, optional
        How many voxels to keep at most of each channel; one chunk is read in any case.

    Raises
    ------
    OptionError
        If a quantile, a channel or ``max_voxels`` is out of range.
    ImageError
        If no voxel of a channel counts, or voxels cannot be read.
    """
    check_quantiles((*quantiles, *others))
    if max_voxels < 1:
        raise OptionError(f"max_voxels is {max_voxels}; at least 1 voxel must be read")
    level, sampled = _choose_level(image, region, max_voxels)
    box = _on_level(image, region, level)
    found: list[GreyValues] = []
    # Of many channels, all may not fit into memory.
    together = max(1, 2 * max_voxels // box.size)
    for first in range(0, len(channels), together):
        some = channels[first : first + together]
        look = _Look(image, level, box, some, None if chosen is None else chosen(level))
        found += look.measured(
            quantiles,
            max_voxels if sampled else None,
            others=others,
            # Averages of a coarser level make single voxels of what is larger.
            specks=level <= (region[0] if region else 0),
        )
    return Intensity(level, sampled, tuple(found))


Parts = tuple[list[np.ndarray], list[np.ndarray | None]]
"""Voxels (channel, *space), and which of them are wanted (*space)."""


@dataclass(frozen=True, slots=True)
class _Look:
    """What is read: some channels of a box of a level."""

    image: Multiscale
    level: int
    box: Box
    channels: Sequence[int]
    chosen: Chosen | None

    def measured(
        self,
        quantiles: Sequence[float],
        max_voxels: int | None,
        *,
        others: Sequence[float],
        specks: bool,
    ) -> list[GreyValues]:
        """Of each channel, on a sample of so many voxels or on all (None)."""
        parts, wanted = self.whole() if max_voxels is None else self.sample(max_voxels)
        found = []
        for k, channel in enumerate(self.channels):
            voxels = [part[k] for part in parts]
            # Where nothing is wanted, nothing will be segmented, and any range does.
            values = grey_values(
                voxels, quantiles, masks=wanted, others=others, specks=specks
            ) or grey_values(voxels, quantiles, others=others, specks=specks)
            if values is None:
                raise ImageError(
                    f"channel {channel} of {self.image.url} has no finite voxel at level "
                    f"{self.level}: choose another channel"
                )
            everywhere = None if self.chosen is None else grey_values(voxels, quantiles)
            if everywhere is not None:
                # Beside what is wanted lies what is not, which the network reads as context.
                values = replace(values, padding=everywhere.padding)
            found.append(values)
        return found

    def whole(self) -> Parts:
        reader = self._reader()
        voxels = np.empty((len(self.channels), *self.box.shape), reader.dtype)
        wanted = None if self.chosen is None else np.ones(self.box.shape, bool)
        slab = slab_shape(self.box.shape, self._chunk(), _SLAB_VOXELS // len(self.channels))
        for part in grid_boxes(self.box, slab):
            where = part.within(self.box)
            voxels[(slice(None), *where)] = reader.read(part)
            if self.chosen is not None and wanted is not None:
                named = self.chosen.read(part)
                wanted[where] = True if named is None else named
        return [voxels], [wanted]

    def sample(self, max_voxels: int) -> Parts:
        """Evenly spread boxes with more than one value; a box of one value where all are so."""
        parts: Parts = ([], [])
        seen: set[Box] = set()
        flat, room = None, max_voxels
        reader, grown = self._reader(), _grown(self._chunk())
        stored = StoredChunks(self.image, level=self.level, channels=self.channels)
        for times in _MOST_TRIES:
            for box in spread_boxes(self.box, grown, times * max_voxels):
                if box in seen or (parts[0] and box.size > room):
                    continue
                seen.add(box)
                voxels, named = self._read(box, reader, stored)
                if voxels is None:
                    continue
                if all(_is_flat(plane) for plane in voxels):
                    flat = flat or ([voxels], [named])
                    continue
                parts[0].append(voxels)
                parts[1].append(named)
                room -= box.size
            if room <= max_voxels * (1 - _ENOUGH):
                break
        return parts if parts[0] else flat or self._first()

    def _read(
        self, box: Box, reader: VolumeReader, stored: StoredChunks
    ) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Voxels of a box, None where none is stored or wanted, and which of them are wanted."""
        named = None if self.chosen is None else self.chosen.read(box)
        if named is not None and not named.any():
            return None, named
        return (reader.read(box) if stored.read(box).any() else None), named

    def _first(self) -> Parts:
        """Any box at all: nothing is stored or wanted."""
        box = next(spread_boxes(self.box, self._chunk(), 1))
        return [self._reader().read(box)], [None]

    def _reader(self) -> VolumeReader:
        return VolumeReader(self.image, level=self.level, channels=self.channels)

    def _chunk(self) -> tuple[int, ...]:
        return tuple(map(min, self.image.volume_chunks(self.level), self.box.shape))


def _is_flat(voxels: np.ndarray) -> bool:
    """Whether the finite voxels hold one single value, or there are none."""
    finite = voxels[np.isfinite(voxels)] if voxels.dtype.kind == "f" else voxels
    return not finite.size or bool(np.all(finite == finite.flat[0]))


def _grown(chunk: Sequence[int]) -> tuple[int, ...]:
    """Several chunks along y and x where one is small, so that the grey rule sees whole cells."""
    return (*chunk[:-2], *(n * ceil_div(_LEAST_SIDE, n) for n in chunk[-2:]))


def _choose_level(
    image: Multiscale, region: tuple[int, Box] | None, max_voxels: int
) -> tuple[int, bool]:
    """Choose the level to read, and whether only a sample of it."""
    dtype = image.level(region[0] if region else 0).dtype
    sizes = {
        k: _on_level(image, region, k).size
        for k, level in enumerate(image.levels)
        if level.dtype == dtype
    }
    fitting = [k for k, size in sizes.items() if size <= max_voxels]
    if fitting:
        return max(fitting, key=lambda k: sizes[k]), False
    return min(sizes, key=lambda k: sizes[k]), True


def _on_level(image: Multiscale, region: tuple[int, Box] | None, level: int) -> Box:
    """The region on the voxels of another level: all that it touches."""
    shape = image.volume_shape(level)
    if region is None:
        return Box.of_shape(shape)
    given, box = region
    sizes = image.volume_shape(given)
    start = tuple(a * n // size for a, n, size in zip(box.start, shape, sizes))
    stop = tuple(ceil_div(b * n, size) for b, n, size in zip(box.stop, shape, sizes))
    return Box(start, tuple(max(a + 1, b) for a, b in zip(start, stop)))
