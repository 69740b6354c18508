"""Passes over all voxels of some channels of a level, slab by slab; statistics need several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bigunet.geometry import Box
from bigunet.io.images.grey_voxels import Chosen
from bigunet.io.images.reader import LevelReader
from bigunet.io.images.spread import grid_boxes, slab_shape

_SLAB_VOXELS = 2**22
"""Voxels that are read at once, all channels together, unless one chunk has more."""


@dataclass(frozen=True)
class AllVoxels:
    """All voxels of a box that are asked for, more than memory may hold.

    Parameters
    ----------
    reader : LevelReader
    box : Box
        A box within the level.
    chosen : Chosen, optional
        Says which voxels of the box are asked for; by default all are.
    """

    reader: LevelReader
    box: Box
    chosen: Chosen | None = None

    @property
    def are_all(self) -> bool:
        """Whether they are all voxels of the level."""
        return self.chosen is None and self.box.shape == tuple(self.reader.shape)

    def passed(self, channels: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
        """Pass once over the finite voxels: position of a channel, and voxels of one axis."""
        chunk = tuple(map(min, self.reader.chunk, self.box.shape))
        slab = slab_shape(self.box.shape, chunk, _SLAB_VOXELS // self.reader.num_channels)
        for part in grid_boxes(self.box, slab):
            named = None if self.chosen is None else self.chosen.read(part)
            if named is not None and not named.any():
                continue
            voxels = self.reader.read(part)
            for channel in channels:
                flat = voxels[channel].ravel() if named is None else voxels[channel][named]
                yield channel, flat[np.isfinite(flat)] if flat.dtype.kind == "f" else flat
