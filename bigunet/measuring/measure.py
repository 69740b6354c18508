"""The table of the objects of arrays in memory, block by block, as a run of many workers has it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from bigunet.blocks import BlockGrid
from bigunet.errors import ImageError, LabelsError, OptionError
from bigunet.geometry import Box, Point
from bigunet.measuring.block_sums import sums_of_block
from bigunet.measuring.described import Described
from bigunet.measuring.merging import merged_all
from bigunet.measuring.sums import ObjectSums
from bigunet.measuring.table import table_of

_BLOCK_VOXELS = 1 << 21
"""Of a block, unless one is given: its working memory of some 100 bytes a voxel stays small."""


def measure(
    labels: Any,
    image: Any = None,
    *,
    voxel_size_um: float | Sequence[float] | None = None,
    block_shape: Sequence[int] | None = None,
) -> dict[str, np.ndarray]:
    """Measure objects: the table that has one row an object, the same for any blocks.

    Parameters
    ----------
    labels : array_like of int, (y, x) or (z, y, x)
        0 is no object, and each other value is one object. A numpy array, or any array that slices,
        such as one of zarr.
    image : array_like, optional
        Grey values, of the shape of ``labels``, or with an axis of channels before it.
    voxel_size_um : float or sequence of float, optional
        Micrometres of a voxel: one number, or one per axis.
    block_shape : sequence of int, optional
        Voxels that are read at a time, per axis. It changes memory and time, and no number of the
        table.

    Returns
    -------
    dict of str to ndarray, (objects,)
        One array a column, ascending by label; ``pandas.DataFrame`` takes it. As in
        ``skimage.measure.regionprops_table``: ``label``; ``area`` (voxels, in 3D as well);
        ``centroid-0`` and so on; ``bbox-0`` and so on (first voxel, then the voxel after the last);
        ``axis_major_length``, ``axis_minor_length``; ``equivalent_diameter_area``;
        ``eccentricity`` and ``orientation`` (2D); ``intensity_mean``, ``intensity_std``,
        ``intensity_min``, ``intensity_max`` (with ``-0`` and so on where the image has an axis of
        channels). Beside them: ``axis_middle_length`` (3D), and ``cut``: whether
        the border of the image cuts the object.
        With ``voxel_size_um`` also: ``area_um2`` or ``volume_um3``, ``centroid_um-0`` and so on,
        and lengths that end in ``_um``; eccentricity and orientation are then those in micrometres.

    Raises
    ------
    LabelsError
        If the labels are no whole numbers, or do not have two or three axes.
    ImageError
        If the image does not fit the labels.
    OptionError
        If the size of a voxel or of a block does not fit the labels.

    Notes
    -----
    Sums are exact, of floats as well, and each column is rounded at the end: a mean or a centroid
    is the nearest float64. Where a voxel of an object is NaN or infinite, its mean is what numpy
    gives, and its standard deviation is NaN. ``cut`` leaves out axes of one voxel.

    Examples
    --------
    >>> labels = np.array([[7, 7, 0], [0, 0, 9]])
    >>> table = measure(labels, labels * 10, voxel_size_um=0.5)
    >>> table["label"].tolist(), table["area_um2"].tolist(), table["intensity_mean"].tolist()
    ([7, 9], [0.5, 0.25], [70.0, 90.0])
    """
    labels = labels if hasattr(labels, "shape") else np.asarray(labels)
    shape = tuple(int(n) for n in labels.shape)
    if len(shape) not in (2, 3):
        raise LabelsError(f"labels have {len(shape)} axes; give 2 or 3, such as one time point")
    image = image if image is None or hasattr(image, "shape") else np.asarray(image)
    _check_image(image, shape)
    size = voxel_size_um
    spacing = (size,) * len(shape) if isinstance(size, (int, float)) else size
    described = Described(shape, voxel_size_um=spacing)
    grid = BlockGrid(Box.of_shape(shape), _block_shape(block_shape, shape))
    return table_of(merged_all(_parts(labels, image, grid)), described)


def _parts(labels: Any, image: Any, grid: BlockGrid) -> Iterator[ObjectSums]:
    """Sums of each block; of an empty block where there is none."""
    boxes = (grid.box(index) for index in grid.traversal())
    empty = Box.of_shape((0,) * grid.region.ndim)
    for box in boxes if grid.num_blocks else [empty]:
        where = box.within(grid.region)
        ids = np.asarray(labels[where])
        yield sums_of_block(ids, box, grid.region, _channels(image, where, grid.region.shape))


def _channels(image: Any, where: tuple[slice, ...], shape: Point) -> dict[str, np.ndarray]:
    if image is None:
        return {}
    if not _has_channels(image, shape):
        return {"": np.asarray(image[where])}
    grey = np.asarray(image[(slice(None), *where)])
    return {str(c): channel for c, channel in enumerate(grey)}


def _has_channels(image: Any, shape: Point) -> bool:
    return image is not None and len(image.shape) > len(shape)


def _check_image(image: Any, shape: Point) -> None:
    if image is None:
        return
    given = tuple(int(n) for n in image.shape)
    if given != shape and given[1:] != shape:
        raise ImageError(
            f"the image is {given}, the labels {shape}; give equal shapes, or channels first"
        )


def _block_shape(given: Sequence[int] | None, shape: Point) -> Point:
    if given is None:
        return _default_block_shape(shape)
    block = tuple(int(n) for n in given)
    if len(block) != len(shape) or min(block) < 1:
        raise OptionError(f"block_shape is {block}; give {len(shape)} numbers of voxels above 0")
    return block


def _default_block_shape(shape: Point) -> Point:
    """The whole, its longest axis halved until it is small enough."""
    block = Box.of_shape(tuple(max(1, n) for n in shape))
    while block.size > _BLOCK_VOXELS:
        longest = max(range(block.ndim), key=lambda axis: block.shape[axis])
        halved = (-(-n // 2) if axis == longest else n for axis, n in enumerate(block.shape))
        block = Box.of_shape(tuple(halved))
    return block.shape
