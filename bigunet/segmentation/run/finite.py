"""Voxels of a float image that are NaN or infinite: the run refuses them, or makes them label 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bigunet.errors import ImageError
from bigunet.geometry import Box
from bigunet.io.images.mirror import mirror_indices
from bigunet.io.images.multiscale import ImageDescription, Multiscale
from bigunet.io.images.occupancy import StoredChunks
from bigunet.segmentation.plan.selection import Selection
from bigunet.segmentation.segment_options import SegmentOptions

_BACKGROUND = "give --nonfinite background to make such voxels label 0"


@dataclass(frozen=True)
class FiniteVoxels:
    """Looks for NaN and infinity in the pixels of an image.

    Parameters
    ----------
    image : ImageDescription
    options : SegmentOptions
    channels : sequence of int
        The channels of the image that are read.
    selection : Selection
        Voxels outside it may have any value: those of chunks that are not stored are often NaN.
    """

    image: ImageDescription
    options: SegmentOptions
    channels: Sequence[int]
    selection: Selection

    def kept(
        self, pixels: np.ndarray, source: Box, write: Box, selected: np.ndarray | None
    ) -> np.ndarray | None:
        """Which voxels of ``write`` keep their labels; None for all.

        Parameters
        ----------
        pixels : ndarray, (channel, *source.shape)
            The image, mirrored where ``source`` leaves the volume.
        source : Box
            Contains all selected voxels of ``write``.
        write : Box
        selected : ndarray of bool or None
            Which voxels of ``write`` are selected; None for all.

        Raises
        ------
        ImageError
            If a selected voxel of ``source``, in this block or another one, is NaN or infinite,
            and the options refuse that. The message names the first such voxel.
        """
        if are_finite(pixels):
            return selected
        finite = np.isfinite(pixels).all(axis=0)
        if self.options.nonfinite == "refuse":
            self._refuse(pixels, ~finite, source)
            return selected
        inside = source.intersection(write)
        kept = np.ones(write.shape, bool) if selected is None else selected.copy()
        kept[inside.within(write)] &= finite[inside.within(source)]
        return kept

    def _refuse(self, pixels: np.ndarray, bad: np.ndarray, source: Box) -> None:
        """Raise ImageError for the first voxel of ``bad`` that is selected, if there is one."""
        level = self.options.chosen_level
        ends = list(zip(source.start, source.stop))
        sizes = self.image.volume_shape(level)
        # Indices in the volume of the mirrored box, one array per axis.
        indices = [mirror_indices(a, b, size) for (a, b), size in zip(ends, sizes)]
        bad = self._without_others(bad, indices)
        if not bad.any():
            return
        # A voxel of the volume comes before one of its mirror image.
        inside = np.zeros_like(bad)
        inside[np.ix_(*(index == np.arange(a, b) for index, (a, b) in zip(indices, ends)))] = True
        bad = bad & inside if (bad & inside).any() else bad
        first = np.unravel_index(int(bad.argmax()), bad.shape)
        at = [int(index[i]) for index, i in zip(indices, first)]
        values = pixels.reshape(len(pixels), -1)[:, int(bad.argmax())]
        position = ", ".join(f"{axis}={k}" for axis, k in zip(self.image.volume_axes, at))
        raise ImageError(
            f"{self.image.url} is {values[~np.isfinite(values)][0]} at {position} of level "
            f"{level}; {self._remedy(at)}"
        )

    def _without_others(self, bad: np.ndarray, indices: Sequence[np.ndarray]) -> np.ndarray:
        """The voxels of ``bad`` that are selected."""
        slab = Box(
            tuple(int(index.min()) for index in indices),
            tuple(int(index.max()) + 1 for index in indices),
        )
        selected = self.selection.read(slab)
        if selected is None:
            return bad
        chosen = selected[np.ix_(*(k - start for k, start in zip(indices, slab.start)))]
        return np.asarray(bad & chosen)

    def _remedy(self, at: Sequence[int]) -> str:
        voxel = Box(tuple(at), tuple(k + 1 for k in at))
        level = self.options.chosen_level
        if not self.options.skip_empty and isinstance(self.image, Multiscale):
            stored = StoredChunks(self.image, level=level, channels=self.channels)
            if stored.read(voxel).all():
                return _BACKGROUND
            return "its chunk is not stored: give --skip-empty to leave such chunks out as label 0"
        return _BACKGROUND


def are_finite(voxels: np.ndarray) -> bool:
    """Whether no voxel is NaN or infinite; looks at the extremes, which takes no memory."""
    if voxels.dtype.kind != "f" or not voxels.size:
        return True
    return bool(np.isfinite(voxels.min()) and np.isfinite(voxels.max()))
