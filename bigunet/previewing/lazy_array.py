"""An array that computes the voxels that are read; it knows indices, and no blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bigunet.geometry import Box, Point
from bigunet.io.output.pyramid import Voxels
from bigunet.previewing.computed_output import ComputedOutput


@dataclass(frozen=True, slots=True)
class LazyArray:
    """Level 0 of an output. An index such as ``array[0:512, 0:512]`` computes what it reads.

    Its axes are those of the output on disk: those of the image, and for probabilities the
    classes. Indices are whole numbers, slices and ``...``, as in numpy.

    Parameters
    ----------
    computed : ComputedOutput
    """

    computed: ComputedOutput

    @property
    def shape(self) -> Point:
        """Voxels along each axis."""
        output = self.computed.output
        return output.as_stored(output.layout.shape, channel=output.num_channels)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of a voxel."""
        return np.dtype(self.computed.output.dtype)

    @property
    def axes(self) -> str:
        """Letters of the axes, such as ``"zyx"``; c is the axis of the classes."""
        return "".join(axis.name for axis in self.computed.output.axes)

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        shape = " × ".join(map(str, self.shape))
        return f"LazyArray({self.computed.output.group}, {self.dtype}, {shape} ({self.axes}))"

    def __getitem__(self, key: Any) -> Voxels:
        ranges = ranges_of(key, self.shape)
        hulls = [_hull(one if isinstance(one, range) else range(one, one + 1)) for one in ranges]
        voxels = self._voxels(Box(*zip(*hulls)))
        within = (_within(one, start) for one, (start, _) in zip(ranges, hulls))
        return voxels[tuple(within)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Voxels:
        voxels = self[...]
        return voxels if dtype is None else voxels.astype(dtype, copy=bool(copy))

    def _voxels(self, box: Box) -> Voxels:
        """Voxels of a box along the axes on disk."""
        output = self.computed.output
        order = output.storage_order
        start = [box.start[order.index(k)] for k in range(box.ndim)]
        stop = [box.stop[order.index(k)] for k in range(box.ndim)]
        skipped = output.has_channels
        voxels = self.computed.compute(0, Box(tuple(start[skipped:]), tuple(stop[skipped:])))
        if output.has_channels:
            voxels = voxels[start[0] : stop[0]]
        return voxels.transpose(order)


def ranges_of(key: Any, shape: Sequence[int]) -> list[range | int]:
    """What an index takes of each axis: a range, or one place, which has no axis in the result.

    Raises
    ------
    IndexError
        If the index has too many axes, leaves the array, or is of another kind.

    Examples
    --------
    >>> ranges_of((-1, slice(2, 9, 3)), (5, 8, 4))
    [4, range(2, 8, 3), range(0, 4)]
    """
    keys = list(key) if isinstance(key, tuple) else [key]
    if len([k for k in keys if k is not Ellipsis]) > len(shape) or keys.count(Ellipsis) > 1:
        raise IndexError(f"an index of {len(keys)} axes for an array of {len(shape)}")
    place = keys.index(Ellipsis) if Ellipsis in keys else len(keys)
    missing = len(shape) - len(keys) + (Ellipsis in keys)
    keys[place : place + 1] = [slice(None)] * missing
    return [_range(one, n) for one, n in zip(keys, shape)]


def _range(key: Any, size: int) -> range | int:
    if isinstance(key, slice):
        return range(*key.indices(size))
    if isinstance(key, (int, np.integer)) and not isinstance(key, bool):
        if not -size <= key < size:
            raise IndexError(f"index {key} of an axis of {size} voxels")
        return int(key) % size
    raise IndexError(f"index {key!r}: give whole numbers, slices and ...")


def _hull(places: range) -> tuple[int, int]:
    """Start and stop of the voxels that a range lies in."""
    return (min(places), max(places) + 1) if places else (0, 0)


def _within(places: range | int, start: int) -> slice | int:
    """A range as an index of voxels that begin at ``start``."""
    if isinstance(places, int):
        return places - start
    if not places:
        return slice(0, 0)
    first, after = places[0] - start, places[-1] - start + (1 if places.step > 0 else -1)
    return slice(first, None if after < 0 else after, places.step)
