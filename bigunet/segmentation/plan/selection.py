"""Which voxels of an image are segmented: all, or those of a mask and of stored chunks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bigunet.blend_tiling import BlendTiling
from bigunet.geometry import Box
from bigunet.io.files.opening import open_image, open_level, stored_chunks
from bigunet.io.images.mask import Mask
from bigunet.io.images.multiscale import ImageDescription
from bigunet.io.images.occupancy import StoredChunks
from bigunet.io.images.reader import LevelReader
from bigunet.segmentation.segment_options import SegmentOptions
from bigunet.tiling import Tile, Tiling


@dataclass(frozen=True)
class Selection:
    """The voxels that lie in all of some parts; without a part, all voxels.

    Voxels that are not selected become label 0.

    Parameters
    ----------
    parts : tuple of StoredChunks or Mask
    """

    parts: tuple[StoredChunks | Mask, ...] = ()

    @classmethod
    def of(
        cls, image: ImageDescription, options: SegmentOptions, channels: Sequence[int]
    ) -> Selection:
        """The selection that the options ask for, on their level. Only metadata are read.

        Raises
        ------
        OptionError
            If the mask does not fit the image.
        ImageError
            If the mask cannot be read.
        """
        parts: list[StoredChunks | Mask] = []
        level = options.chosen_level
        if options.skip_empty:
            parts.append(stored_chunks(image, level=level, channels=channels))
        if options.mask:
            mask = open_image(options.mask, usual_axes=True)
            parts.append(Mask(mask, image, level=level, open_level=_level_of))
        return cls(tuple(parts))

    def read(self, box: Box) -> np.ndarray | None:
        """Whether each voxel of a box is selected: bool, of the box's shape; None for all."""
        selected: np.ndarray | None = None
        for part in self.parts:
            inside = part.read(box)
            selected = inside if selected is None else selected & inside
            if not selected.any():
                break
        return None if selected is None or selected.all() else selected


def _level_of(mask: ImageDescription, level: int) -> LevelReader:
    return open_level(mask, level=level)


def selected_tiles(
    tiling: Tiling | BlendTiling, box: Box, selected: np.ndarray | None
) -> list[Tile]:
    """The tiles of a box that keep at least one selected voxel.

    Parameters
    ----------
    tiling : Tiling or BlendTiling
    box : Box
    selected : ndarray of bool or None
        Which voxels of the box are selected; None for all.
    """
    tiles = list(tiling.tiles(box))
    if selected is None:
        return tiles
    return [tile for tile in tiles if selected[tile.output.within(box)].any()]
