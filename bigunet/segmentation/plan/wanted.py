"""What of an image is segmented, where the user wants less than all; the rest is label 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bigunet.geometry import Box
from bigunet.io.images.discovery import open_multiscale
from bigunet.io.images.mask import Mask
from bigunet.io.images.multiscale import Multiscale
from bigunet.io.images.occupancy import StoredChunks
from bigunet.segmentation.segment_options import SegmentOptions


@dataclass(frozen=True)
class Wanted:
    """The voxels that all of some parts name; all there are where there is no part.

    Parameters
    ----------
    parts : tuple of StoredChunks or Mask
    """

    parts: tuple[StoredChunks | Mask, ...] = ()

    @classmethod
    def of(cls, image: Multiscale, options: SegmentOptions, channels: Sequence[int]) -> Wanted:
        """What the options ask for on their level, a number; metadata are read, no voxels.

        Raises
        ------
        OptionError
            If the mask does not fit the image.
        ImageError
            If it cannot be read.
        """
        parts: list[StoredChunks | Mask] = []
        level = options.chosen_level
        if options.skip_empty:
            parts.append(StoredChunks(image, level=level, channels=channels))
        if options.mask:
            mask = open_multiscale(options.mask, usual_axes=True)
            parts.append(Mask(mask, image, level=level))
        return cls(tuple(parts))

    def read(self, box: Box) -> np.ndarray | None:
        """Whether each voxel of a box is wanted: bool, of the box's shape; None for all."""
        found: np.ndarray | None = None
        for part in self.parts:
            named = part.read(box)
            found = named if found is None else found & named
            if not found.any():
                break
        return None if found is None or found.all() else found
