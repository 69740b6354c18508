"""Reads a mask of any resolution onto the voxels of an image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from bigunet.errors import OptionError
from bigunet.geometry import Box
from bigunet.io.images.multiscale import ImageDescription, Multiscale
from bigunet.io.images.reader import LevelReader
from bigunet.io.images.units import to_um
from bigunet.io.images.volume import VolumeReader

# Rounding may move a position by this part of a voxel of the mask.
_ROUNDING = 1e-6


class Mask:
    """A mask for one level of an image; threads and processes may share one object.

    A voxel of the image is in the mask if its centre lies in a voxel of the mask that is not 0.
    Both files state positions and units for that. Outside the mask file, no voxel is in the mask.
    A bare array, or a file that does not say how large its voxels are, states no positions. So it
    is stretched over the whole image. If the mask lacks an axis, it is the same everywhere along
    that axis.

    Parameters
    ----------
    mask : ImageDescription
        It has one channel. The coarsest level that is at least as fine as the level of the image
        is read.
    image : ImageDescription
    level : int
        Level of the image.
    open_level : callable, optional
        Opens a level of the mask; needed for a mask that is no zarr.

    Raises
    ------
    OptionError
        If the mask has several channels, or an axis that the image lacks.
    """

    def __init__(
        self,
        mask: ImageDescription,
        image: ImageDescription,
        *,
        level: int = 0,
        open_level: Callable[[ImageDescription, int], LevelReader] | None = None,
    ) -> None:
        if mask.num_channels != 1:
            raise OptionError(f"mask {mask.url} has {mask.num_channels} channels; give one of one")
        if not set(mask.volume_axes) <= set(image.volume_axes):
            raise OptionError(
                f"mask {mask.url} has the axes {', '.join(mask.volume_axes)}; the image only "
                f"{', '.join(image.volume_axes)}: give a mask of these axes"
            )
        mask = replace(mask, slice_axis=image.slice_axis)
        levels = [_lines(mask, k, image, level) for k in range(len(mask.levels))]
        fine = [k for k, lines in enumerate(levels) if all(line.is_fine for line in lines)]
        chosen = max(fine, default=0)
        self._lines = levels[chosen]
        self._reader = (open_level or _zarr_level)(mask, chosen)
        self._axes = [image.volume_axes.index(axis) for axis in mask.volume_axes]

    def read(self, box: Box) -> np.ndarray:
        """Whether each voxel of a box is in the mask: bool, with the shape of the box.

        Raises
        ------
        ImageError
            If the mask cannot be read.
        """
        indices = [
            line.indices(box.start[axis], box.stop[axis])
            for axis, line in zip(self._axes, self._lines)
        ]
        inside = [(index >= 0) & (index < n) for index, n in zip(indices, self._reader.shape)]
        if not all(kept.any() for kept in inside):
            return np.zeros(box.shape, bool)
        slab = Box(
            tuple(int(index[kept].min()) for index, kept in zip(indices, inside)),
            tuple(int(index[kept].max()) + 1 for index, kept in zip(indices, inside)),
        )
        masked = self._reader.read(slab)[0] != 0
        for axis, (index, kept, start) in enumerate(zip(indices, inside, slab.start)):
            masked = masked.take(np.where(kept, index - start, 0), axis=axis)
            masked &= np.expand_dims(kept, [k for k in range(masked.ndim) if k != axis])
        lacking = [axis for axis in range(box.ndim) if axis not in self._axes]
        return np.ascontiguousarray(np.broadcast_to(np.expand_dims(masked, lacking), box.shape))


@dataclass(frozen=True, slots=True)
class _Line:
    """The map from voxels of the image to voxels of the mask, along one axis."""

    factor: float
    offset: float

    @property
    def is_fine(self) -> bool:
        """Whether the voxels of the mask are no longer than those of the image."""
        return self.factor > 1 - _ROUNDING

    def indices(self, start: int, stop: int) -> np.ndarray:
        """Index of the voxel of the mask in which the centre of each voxel of the image lies."""
        position = np.arange(start, stop) * self.factor + self.offset
        index: np.ndarray = np.floor(position + 0.5 + _ROUNDING).astype(np.int64)
        return index


def _zarr_level(mask: ImageDescription, level: int) -> LevelReader:
    assert isinstance(mask, Multiscale)
    return VolumeReader(mask, level=level)


def _lines(
    mask: ImageDescription, mask_level: int, image: ImageDescription, level: int
) -> list[_Line]:
    return [_line(mask, mask_level, image, level, axis) for axis in mask.volume_axes]


def _line(
    mask: ImageDescription, mask_level: int, image: ImageDescription, level: int, axis: str
) -> _Line:
    at, mask_at = image.volume_axes.index(axis), mask.volume_axes.index(axis)
    if not mask.states_places or not image.states_places:
        factor = mask.volume_shape(mask_level)[mask_at] / image.volume_shape(level)[at]
        return _Line(factor, (factor - 1) / 2)
    ours, theirs = to_um(image.unit(axis)), to_um(mask.unit(axis))
    unit = ours / theirs if ours and theirs else 1.0
    length = mask.volume_scale(mask_level)[mask_at]
    moved = (
        unit * image.volume_translation(level)[at] - mask.volume_translation(mask_level)[mask_at]
    )
    return _Line(unit * image.volume_scale(level)[at] / length, moved / length)
