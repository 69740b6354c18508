"""Checks that labels fit an image: in axes, shape and voxel size, and that they are labels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from bigunet.errors import LabelsError
from bigunet.geometry import Box, ceil_div
from bigunet.io.sources.annotations import annotated
from bigunet.io.sources.source import Source

_SCALE_TOLERANCE = 0.01
_LOSSY = (".jpg", ".jpeg")
_MAX_BOXES = 256
_BOX_VOXELS = 2**22
_FEW_VALUES = 8


def check_pair(image: Source, labels: Source, *, ignore: Sequence[int] = ()) -> None:
    """Check that labels fit an image.

    Parameters
    ----------
    image, labels : Source
        With the values that are stored.
    ignore : sequence of int, optional
        Values of voxels that nobody annotated.

    Raises
    ------
    LabelsError
        If axes, shape or voxel size differ, or the labels are not whole numbers of one channel, 0
        or above.
    """
    names = f"{labels.url}, labels of {image.url},"
    if len(image.axes) != len(labels.axes):
        raise LabelsError(
            f"{names} have the axes {', '.join(labels.axes)}, the image {', '.join(image.axes)}; "
            "give labels for each voxel"
        )
    if labels.num_channels != 1:
        raise LabelsError(f"{names} have {labels.num_channels} channels{_channels(labels)}")
    if image.shape != labels.shape:
        raise LabelsError(
            f"{names} have shape {labels.shape}, the image {image.shape}; "
            f"{_cure_of_shape(image, labels)}"
        )
    if labels.dtype.kind not in "biuf":
        raise LabelsError(f"{names} are {labels.dtype}; give integers, one per voxel")
    if labels.url.lower().endswith(_LOSSY):
        raise LabelsError(f"{names} are a JPEG, which changes values; give a PNG or TIFF")
    _check_scale(image, labels, names)
    if labels.dtype.kind in "if":
        _check_values(image, labels, ignore)


def _channels(labels: Source) -> str:
    """The end of the message for labels of several channels: what they hold, and the cure."""
    voxels = labels.read(next(_boxes(labels.shape)))
    if (voxels == voxels[:1]).all():
        return " that are all equal; give one integer per voxel, as a grey image"
    return "; give one integer per voxel: of colours, a number for each"


def _cure_of_shape(image: Source, labels: Source) -> str:
    if sorted(image.shape) == sorted(labels.shape):
        return "one of them has its axes in another order: transpose it"
    return "give labels of the same shape"


def _check_values(image: Source, labels: Source, ignore: Sequence[int]) -> None:
    """Read all labels, of a type that can hold other values; to read those is an error."""
    read_as = annotated(labels, ignore)
    for box in _boxes(labels.shape):
        try:
            read_as.read(box)
        except LabelsError as error:
            count = num_values(image)
            if labels.dtype.kind != "f" or count > _FEW_VALUES:
                raise
            raise LabelsError(
                f"{error}; the image {image.url} holds {count} values: IMAGES and LABELS look "
                "swapped"
            ) from error


def num_values(source: Source) -> int:
    """Number of different values in a slab in the middle of the image, in its first channel."""
    boxes = list(_boxes(source.shape))
    return len(np.unique(source.read(boxes[len(boxes) // 2])[0]))


def _check_scale(image: Source, labels: Source, names: str) -> None:
    own, theirs = _scale_by_axis(labels), _scale_by_axis(image)
    common = [axis for axis in own if axis in theirs]
    if any(not math.isclose(own[a], theirs[a], rel_tol=_SCALE_TOLERANCE) for a in common):
        raise LabelsError(
            f"{names} have voxels of {labels.scale_um} µm, the image {image.scale_um}; give "
            "labels of the same level, or correct the scale of one"
        )


def _scale_by_axis(source: Source) -> dict[str, float]:
    space = [axis for axis in source.axes if axis != "t"]
    return dict(zip(space, source.scale_um or ()))


def _boxes(shape: Sequence[int]) -> Iterator[Box]:
    """Slabs across the first axis; if there are too many, some of them, evenly spaced."""
    rows = max(1, _BOX_VOXELS // max(1, math.prod(shape[1:])))
    starts = range(0, shape[0], rows)
    for start in starts[:: max(1, ceil_div(len(starts), _MAX_BOXES))]:
        yield Box((start, *(0,) * (len(shape) - 1)), (min(start + rows, shape[0]), *shape[1:]))
