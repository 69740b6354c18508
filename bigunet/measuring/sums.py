"""Sums of each object: of one block, and of blocks together, exactly and in any order.

All sums are whole numbers, or sums of floats without rounding (`bigunet.measuring.wide`). So the
sums of an image do not depend on the blocks that it was cut into, nor on their order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from bigunet.errors import GeometryError, ImageError, LabelsError
from bigunet.measuring.digits import Planes, check_grey_type, digits, square_digits
from bigunet.measuring.runs import Runs, pairs
from bigunet.measuring.wide import Wide, joined, merged_rows

MOST_VOXELS = 2**28
"""Of a block. Also: its voxels times the square of its longest axis are below 2**62."""

MOST_COORDINATE = 2**31
"""No axis of the volume is longer."""


@dataclass(frozen=True, slots=True)
class ObjectSums:
    """Sums over the voxels of each object, sorted by id.

    Parameters
    ----------
    ids : ndarray of int64 (signed labels) or uint64 (unsigned labels), (objects,)
        Ascending; none is 0.
    voxels : ndarray of int64, (objects,)
        Number of voxels.
    start, stop : ndarray of int64, (objects, axes)
        The bounding box, in voxels of the volume: first voxel, and the voxel after the last.
    first_moments : Wide, (objects, axes)
        Sums of coordinates.
    second_moments : Wide, (objects, pairs)
        Sums of products of two coordinates, as :func:`bigunet.measuring.runs.pairs` has them.
    least, greatest : ndarray, (objects, channels)
        Grey values in the type of the image; NaN if a voxel is NaN.
    grey, grey_squares : Wide, (objects, channels)
        Sums of grey values, and of their squares, over the voxels that are finite.
    """

    ids: np.ndarray
    voxels: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    first_moments: Wide
    second_moments: Wide
    least: np.ndarray
    greatest: np.ndarray
    grey: Wide
    grey_squares: Wide

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def ndim(self) -> int:
        return int(self.start.shape[1])

    @property
    def num_channels(self) -> int:
        return int(self.least.shape[1])

    def touches_border(self, shape: Sequence[int]) -> np.ndarray:
        """Whether each object has a voxel at the border of a volume of this shape: (objects,).

        Axes of one voxel do not count: all objects would touch.
        """
        long = np.asarray(shape) > 1
        at_border = (self.start == 0) | (self.stop == np.asarray(shape))
        return np.asarray((at_border & long).any(axis=1))

    def rows(self, rows: slice) -> ObjectSums:
        """These objects alone."""
        return ObjectSums(
            self.ids[rows],
            self.voxels[rows],
            self.start[rows],
            self.stop[rows],
            self.first_moments.take(rows),
            self.second_moments.take(rows),
            self.least[rows],
            self.greatest[rows],
            self.grey.take(rows),
            self.grey_squares.take(rows),
        )


def block_sums(ids: np.ndarray, grey: np.ndarray | None, start: Sequence[int]) -> ObjectSums:
    """Sums of each object that has voxels in a block.

    Parameters
    ----------
    ids : ndarray of int, (*space)
        Two or three axes; 0 is no object, and each other value is one object.
    grey : ndarray of int or float, (channels, *space), or None
        Grey values of the same voxels.
    start : sequence of int
        First voxel of the block in the volume, per axis.

    Raises
    ------
    LabelsError
        If the ids are no whole numbers, or do not have two or three axes.
    ImageError
        If the grey values do not fit the ids, or have a type or values that cannot be added up.
    GeometryError
        If the block has 2**28 voxels or more, or the volume an axis longer than 2**31.
    """
    grey = np.zeros((0, *ids.shape), np.uint8) if grey is None else grey
    _check(ids, grey, start)
    ids, grey = _native(ids), _native(grey)
    grey = grey.view(np.uint8) if grey.dtype.kind == "b" else grey
    ids = ids.astype(np.uint64 if ids.dtype.kind == "u" else np.int64, copy=False)
    runs = Runs.of(ids)
    voxels = runs.of_runs(runs.lengths)
    first, second = _moments(runs, voxels, start)
    box_start, box_stop = runs.box()
    origin = np.asarray(start, np.int64)
    channels = [grey[c].reshape(-1) for c in range(len(grey))]
    return ObjectSums(
        runs.ids,
        voxels,
        box_start + origin,
        box_stop + origin,
        first,
        second,
        _extremes([runs.least(channel) for channel in channels], grey.dtype, len(voxels)),
        _extremes([runs.greatest(channel) for channel in channels], grey.dtype, len(voxels)),
        _grey_sums(runs, (digits(channel) for channel in channels)),
        _grey_sums(runs, (square_digits(channel) for channel in channels)),
    )


def merged(first: ObjectSums, second: ObjectSums) -> ObjectSums:
    """Sums of two parts of an image that share no voxel, such as two blocks.

    The result is the same to the bit for any order of the blocks, and for any grouping of them.

    Raises
    ------
    LabelsError
        If the parts differ in axes, in channels, or in the type of ids or grey values.
    """
    _check_alike(first, second)
    ids = np.concatenate([first.ids, second.ids])
    order = np.argsort(ids, kind="stable")
    ids = ids[order]
    groups = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]]))[: len(ids)]

    def reduced(ufunc: np.ufunc, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        rows = np.concatenate([one, other])[order]
        return np.asarray(ufunc.reduceat(rows, groups, axis=0) if len(groups) else rows)

    def added(one: Wide, other: Wide) -> Wide:
        return merged_rows(one, other, order, groups)

    return ObjectSums(
        ids[groups],
        reduced(np.add, first.voxels, second.voxels),
        reduced(np.minimum, first.start, second.start),
        reduced(np.maximum, first.stop, second.stop),
        added(first.first_moments, second.first_moments),
        added(first.second_moments, second.second_moments),
        reduced(np.minimum, first.least, second.least),
        reduced(np.maximum, first.greatest, second.greatest),
        added(first.grey, second.grey),
        added(first.grey_squares, second.grey_squares),
    )


def merged_all(parts: Iterable[ObjectSums]) -> ObjectSums:
    """Sums of all parts (at least one), merged in pairs: each object is copied few times.

    As many merged parts are held at a time as the number of parts has bits.
    """
    towers: list[tuple[int, ObjectSums]] = []
    for part in parts:
        height = 0
        while towers and towers[-1][0] == height:
            part = merged(towers.pop()[1], part)
            height += 1
        towers.append((height, part))
    total = towers.pop()[1]
    while towers:
        total = merged(towers.pop()[1], total)
    return total


def _native(array: np.ndarray) -> np.ndarray:
    """In C order, with the order of bytes of this machine."""
    return np.ascontiguousarray(array, array.dtype.newbyteorder("="))


def _check(ids: np.ndarray, grey: np.ndarray, start: Sequence[int]) -> None:
    if ids.dtype.kind not in "iu":
        raise LabelsError(f"labels are {ids.dtype}; give whole numbers, one number an object")
    if ids.ndim not in (2, 3):
        raise LabelsError(f"labels have {ids.ndim} axes; give 2 or 3, such as one time point")
    if grey.shape[1:] != ids.shape:
        raise ImageError(
            f"the image is {grey.shape[1:]}, the labels {ids.shape}; give equal shapes"
        )
    check_grey_type(grey.dtype)
    if len(start) != ids.ndim or any(s < 0 for s in start):
        raise GeometryError(f"a block of {ids.ndim} axes cannot start at {tuple(start)}")
    if ids.size >= MOST_VOXELS or ids.size * max(ids.shape) ** 2 >= 2**62:
        raise GeometryError(f"a block of {ids.shape} voxels is too large; cut it into smaller ones")
    if any(s + n > MOST_COORDINATE for s, n in zip(start, ids.shape)):
        raise GeometryError(f"a block at {tuple(start)} lies beyond the longest axis, 2**31")


def _check_alike(first: ObjectSums, second: ObjectSums) -> None:
    kinds = [
        (one.ids.dtype, one.ndim, one.num_channels, one.least.dtype) for one in (first, second)
    ]
    if kinds[0] != kinds[1]:
        one, other = (f"{i} ids, {n} axes, {c} channels of {g}" for i, n, c, g in kinds)
        raise LabelsError(f"parts of different images cannot be merged: {one}; {other}")


def _moments(runs: Runs, voxels: np.ndarray, start: Sequence[int]) -> tuple[Wide, Wide]:
    """Sums of coordinates and of their products, counted from the volume's first voxel.

    With o the block's start: sum (x + o) = sum x + n o, and
    sum (x + o) (y + p) = sum xy + p sum x + o sum y + n o p.
    """
    axes = pairs(len(start))
    i, j = ([pair[k] for pair in axes] for k in (0, 1))
    origin = np.asarray(start, np.int64)
    count = Wide.of(voxels[:, None])
    local = Wide.of(runs.first_moments())
    shifted = count.parts([0] * len(start)).times(origin)
    second = Wide.of(runs.second_moments())
    second += local.parts(i).times(origin[j]) + local.parts(j).times(origin[i])
    second += count.parts([0] * len(axes)).times(origin[i]).times(origin[j])
    return local + shifted, second


def _extremes(channels: list[np.ndarray], dtype: np.dtype, num_objects: int) -> np.ndarray:
    """One column a channel; zeros and NaN of one kind each, so that the order leaves no trace."""
    values = np.empty((num_objects, len(channels)), dtype)
    for c, channel in enumerate(channels):
        values[:, c] = channel
    if dtype.kind == "f":
        values += dtype.type(0)
        values[np.isnan(values)] = np.nan
    return values


def _grey_sums(runs: Runs, channels: Iterable[Planes]) -> Wide:
    total = Wide.of_planes({}, (len(runs.ids), 0))
    for planes in channels:
        sums = {index: runs.sums(plane)[:, None] for index, plane in planes.items()}
        total = joined(total, Wide.of_planes(sums, (len(runs.ids), 1)), axis=1)
    return total
