"""What becomes of voxels of a float image that are no numbers: refused, or background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bigunet.errors import ImageError
from bigunet.geometry import Box
from bigunet.io.images.mirror import mirror_indices
from bigunet.io.images.multiscale import Multiscale
from bigunet.io.images.occupancy import StoredChunks
from bigunet.segmentation.plan.wanted import Wanted
from bigunet.segmentation.segment_options import SegmentOptions


@dataclass(frozen=True)
class FiniteVoxels:
    """Sees NaN and infinity in what was read of an image.

    Parameters
    ----------
    image : Multiscale
    options : SegmentOptions
    channels : sequence of int
        That were read.
    wanted : Wanted
        Voxels that are not wanted may be anything: those of absent chunks often are NaN.
    """

    image: Multiscale
    options: SegmentOptions
    channels: Sequence[int]
    wanted: Wanted

    def kept(
        self, pixels: np.ndarray, source: Box, write: Box, wanted: np.ndarray | None
    ) -> np.ndarray | None:
        """Which voxels of ``write`` keep their labels; None for all.

        Parameters
        ----------
        pixels : ndarray, (channel, *source.shape)
            Mirrored where ``source`` leaves the volume.
        source : Box
            It holds all voxels of ``write`` that are wanted.
        write : Box
        wanted : ndarray of bool or None
            What is wanted of ``write``.

        Raises
        ------
        ImageError
            If a voxel that is wanted, here or in another block, is no number, and that is not
            allowed; it names the first.
        """
        if are_finite(pixels):
            return wanted
        finite = np.isfinite(pixels).all(axis=0)
        if self.options.nonfinite == "refuse":
            self._refuse(pixels, ~finite, source)
            return wanted
        inside = source.intersection(write)
        kept = np.ones(write.shape, bool) if wanted is None else wanted.copy()
        kept[inside.within(write)] &= finite[inside.within(source)]
        return kept

    def _refuse(self, pixels: np.ndarray, bad: np.ndarray, source: Box) -> None:
        level = self.options.chosen_level
        ends = list(zip(source.start, source.stop))
        sizes = self.image.volume_shape(level)
        places = [mirror_indices(a, b, size) for (a, b), size in zip(ends, sizes)]
        slab = Box(
            tuple(int(place.min()) for place in places),
            tuple(int(place.max()) + 1 for place in places),
        )
        wanted = self.wanted.read(slab)
        if wanted is not None:
            bad = bad & wanted[np.ix_(*(p - start for p, start in zip(places, slab.start)))]
            if not bad.any():
                return
        # The first in the volume rather than in its mirror, where that has one.
        inside = np.zeros_like(bad)
        inside[np.ix_(*(place == np.arange(a, b) for place, (a, b) in zip(places, ends)))] = True
        bad = bad & inside if (bad & inside).any() else bad
        first = np.unravel_index(int(bad.argmax()), bad.shape)
        at = [int(place[i]) for place, i in zip(places, first)]
        values = pixels.reshape(len(pixels), -1)[:, int(bad.argmax())]
        named = ", ".join(f"{axis}={k}" for axis, k in zip(self.image.volume_axes, at))
        raise ImageError(
            f"{self.image.url} is {values[~np.isfinite(values)][0]} at {named} of level {level}; "
            f"{self._remedy(at)}"
        )

    def _remedy(self, at: Sequence[int]) -> str:
        voxel = Box(tuple(at), tuple(k + 1 for k in at))
        stored = StoredChunks(self.image, level=self.options.chosen_level, channels=self.channels)
        if not self.options.skip_empty and not stored.read(voxel).all():
            return "its chunk is not stored: give --skip-empty to leave such chunks out as label 0"
        return "give --nonfinite background to make such voxels label 0"


def are_finite(voxels: np.ndarray) -> bool:
    """Whether all are numbers; the extremes tell, without an array of answers."""
    if voxels.dtype.kind != "f" or not voxels.size:
        return True
    return bool(np.isfinite(voxels.min()) and np.isfinite(voxels.max()))
