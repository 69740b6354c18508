"""Sums of each object in one block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bigunet.errors import GeometryError, ImageError, LabelsError
from bigunet.geometry import Box
from bigunet.measuring.channel_sums import ChannelSums
from bigunet.measuring.digits import check_grey_type
from bigunet.measuring.merging import merged_all
from bigunet.measuring.runs import Runs, pairs
from bigunet.measuring.sums import ObjectSums
from bigunet.measuring.wide import Wide

MOST_VOXELS = 2**28
"""Of a block. Also: its voxels times the square of its longest axis are below 2**62."""

MOST_COORDINATE = 2**31
"""No axis of the volume is longer."""


def sums_of_block(
    ids: np.ndarray,
    box: Box,
    volume: Box,
    channels: Mapping[str, np.ndarray],
    *,
    probability: np.ndarray | None = None,
    ndim: int | None = None,
) -> ObjectSums:
    """Sums of each object that has voxels in a block.

    Parameters
    ----------
    ids : ndarray of int, (*frames, *space)
        0 is no object, and each other value is one object.
    box, volume : Box
        The voxels of the block, and all voxels; with the axes of ``ids``.
    channels : mapping of str to ndarray of int or float
        Grey values of the same voxels, by the name of their channel.
    probability : ndarray of int or float, optional
        Probability of the objects' class at the same voxels: 0 to 1, or whole numbers from 0 to the
        greatest of their type.
    ndim : int, optional
        Axes of space, two or three; those before them are frames. By default all are of space.

    Raises
    ------
    LabelsError
        If the ids are no whole numbers, or do not have two or three axes of space.
    ImageError
        If the grey values do not fit the ids, or have a type or values that cannot be added up.
    GeometryError
        If the box does not fit the ids or the volume, if a frame of the block has 2**28 voxels or
        more, or if the volume has an axis longer than 2**31.

    Examples
    --------
    >>> whole = Box((0, 0), (9, 9))
    >>> sums = sums_of_block(np.array([[5, 5]]), Box((8, 3), (9, 5)), whole, {})
    >>> sums.ids.tolist(), sums.start.tolist(), sums.stop.tolist()
    ([5], [[8, 3]], [[9, 5]])
    """
    ndim = ids.ndim if ndim is None else ndim
    for values in (*channels.values(), *([] if probability is None else [probability])):
        _check_grey(ids, values)
    _check(ids, box, volume, ndim)
    start = [side.start for side in box.within(volume)]
    num_axes = ids.ndim - ndim
    parts = []
    for index in np.ndindex(ids.shape[:num_axes]):
        place = tuple(i + first for i, first in zip(index, start))
        frame = int(np.ravel_multi_index(place, volume.shape[:num_axes])) if place else 0
        named = {name: values[index] for name, values in channels.items()}
        confidence = None if probability is None else probability[index]
        parts.append(_of_frame(ids[index], frame, start[num_axes:], named, confidence))
    return merged_all(parts)


def _of_frame(
    ids: np.ndarray,
    frame: int,
    start: Sequence[int],
    channels: Mapping[str, np.ndarray],
    probability: np.ndarray | None,
) -> ObjectSums:
    runs = Runs.of(_native(ids))
    voxels = runs.of_runs(runs.lengths)
    first, second = _moments(runs, voxels, start)
    box_start, box_stop = runs.box()
    origin = np.asarray(start, np.int64)
    return ObjectSums(
        runs.ids,
        np.full(len(voxels), frame, np.int64),
        voxels,
        box_start + origin,
        box_stop + origin,
        first,
        second,
        tuple(ChannelSums.of(name, _flat(grey), runs) for name, grey in channels.items()),
        None if probability is None else ChannelSums.of("probability", _flat(probability), runs),
    )


def _native(array: np.ndarray) -> np.ndarray:
    """In C order, with the order of bytes of this machine."""
    return np.ascontiguousarray(array, array.dtype.newbyteorder("="))


def _flat(grey: np.ndarray) -> np.ndarray:
    grey = _native(grey).reshape(-1)
    return grey.view(np.uint8) if grey.dtype.kind == "b" else grey


def _check(ids: np.ndarray, box: Box, volume: Box, ndim: int) -> None:
    if ids.dtype.kind not in "iu":
        raise LabelsError(f"labels are {ids.dtype}; give whole numbers, one number an object")
    if ndim not in (2, 3) or ids.ndim < ndim:
        raise LabelsError(
            f"labels have {ids.ndim} axes, {ndim} of them of space; give 2 or 3 of space"
        )
    if ids.shape != box.shape:
        raise GeometryError(f"labels of shape {ids.shape} for the block {box}")
    if not box.ndim == volume.ndim or not volume.contains(box):
        raise GeometryError(f"the block {box} is not within {volume}")
    space = ids.shape[-ndim:]
    size = int(np.prod(space, dtype=object))
    if size >= MOST_VOXELS or size * max(space) ** 2 >= 2**62:
        raise GeometryError(f"a block of {space} voxels is too large; cut it into smaller ones")
    if max(volume.shape[-ndim:]) > MOST_COORDINATE:
        raise GeometryError(f"the volume {volume} is longer than the longest axis, 2**31")


def _check_grey(ids: np.ndarray, grey: np.ndarray) -> None:
    if grey.shape != ids.shape:
        raise ImageError(f"the image is {grey.shape}, the labels {ids.shape}; give equal shapes")
    check_grey_type(grey.dtype)


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
