"""The verb ``label_objects``: objects of classes in memory, by the functions that blocks use."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from bigunet.blocks import BlockGrid
from bigunet.errors import LabelsError, OptionError
from bigunet.geometry import Box
from bigunet.labels import connected
from bigunet.objects.block_fragments import BlockFragments, fragments_of_labels
from bigunet.objects.numbering import number_objects
from bigunet.objects.relabelling import box_to_read, grown_block, ids_of_labels
from bigunet.objects.stitching import stitch

_BLOCK_SIDES = {1: 2**24, 2: 2**12, 3: 2**8}
"""Side of a block by number of axes: 16 million voxels; their labels take 64 MiB."""


class Sliceable(Protocol):
    """An array of which boxes can be read: of numpy, zarr, h5py, dask and others."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> Any: ...

    def __getitem__(self, where: tuple[slice, ...], /) -> Any: ...


def label_objects(
    classes: Sliceable,
    *,
    object_class: int = 1,
    border: int | None = None,
    border_width: int = 1,
    smallest: int = 0,
    block_shape: Sequence[int] | None = None,
) -> np.ndarray:
    """Number the objects of one class: its voxels that are connected over faces are one object.

    Objects have the ids 1, 2, 3 and so on, in the order of their first voxel in C order. The result
    is the same, to the byte, for any shape of blocks.

    Parameters
    ----------
    classes : array of int or bool, (*space)
        One to three axes. Of arrays that are not in memory (zarr, h5py, dask), one block is read at
        a time.
    object_class : int
        The class of the objects.
    border : int, optional
        The class that separates touching objects. Its voxels return to the nearest object within
        ``border_width``; where several are equally near, the lowest id gets the voxel.
    border_width : int
        Width of the border on each side of an object, in voxels along each axis.
    smallest : int
        Objects with fewer voxels of their class are left out. Voxels that return from the border
        do not count.
    block_shape : sequence of int, optional
        Voxels of a block along each axis. By default a block has up to 16 million voxels.

    Returns
    -------
    ndarray of uint32, (*space)
        0 is no object. The type is uint64 if there are more than 4,294,967,295 objects.

    Raises
    ------
    LabelsError
        If the classes are no whole numbers, or have no axis or more than three.
    OptionError
        If the border is the class of the objects, or a number is negative.
    GeometryError
        If the block shape does not fit the axes.

    Examples
    --------
    >>> label_objects(np.array([0, 1, 1, 2, 2, 1, 2, 0]), border=2)
    array([0, 1, 1, 1, 2, 2, 2, 0], dtype=uint32)
    """
    grid = _grid(classes, block_shape)
    _check(object_class, border, border_width, smallest)
    labels = np.zeros(grid.region.shape, np.uint32)
    stitched = stitch(grid, _labelled(classes, object_class, grid, labels))
    numbers = number_objects(stitched, smallest=smallest)
    ids = labels.astype(numbers.ids.dtype, copy=False)
    for number, box in enumerate(_boxes(grid)):
        where = box.within(grid.region)
        ids[where] = ids_of_labels(labels[where], numbers.of_block(number))
    if border is None or border_width == 0:
        return ids
    return _grown(ids, classes, border, border_width, grid)


def _grid(classes: Sliceable, block_shape: Sequence[int] | None) -> BlockGrid:
    shape = tuple(classes.shape)
    if len(shape) not in _BLOCK_SIDES:
        raise LabelsError(f"classes have {len(shape)} axes; give 1 to 3, such as one time point")
    if np.dtype(classes.dtype).kind not in "bui":
        raise LabelsError(f"classes are of type {classes.dtype}; give whole numbers")
    if block_shape is None:
        block_shape = (_BLOCK_SIDES[len(shape)],) * len(shape)
    return BlockGrid(Box.of_shape(shape), tuple(operator.index(n) for n in block_shape))


def _check(object_class: int, border: int | None, border_width: int, smallest: int) -> None:
    if border == object_class:
        raise OptionError(f"border {border} is the class of the objects; give another class")
    if border_width < 0 or smallest < 0:
        raise OptionError(
            f"border_width {border_width} and smallest {smallest} must be 0 or more voxels"
        )


def _boxes(grid: BlockGrid) -> Iterator[Box]:
    """Boxes of all blocks, in C order."""
    return map(grid.box, np.ndindex(*grid.shape))


def _labelled(
    classes: Sliceable, object_class: int, grid: BlockGrid, labels: np.ndarray
) -> Iterator[BlockFragments]:
    """Label block by block; local labels are written into ``labels``."""
    for box in _boxes(grid):
        where = box.within(grid.region)
        local = connected(np.asarray(classes[where]) == object_class)
        labels[where] = local
        yield fragments_of_labels(local, box, grid.region)


def _grown(
    ids: np.ndarray, classes: Sliceable, border: int, width: int, grid: BlockGrid
) -> np.ndarray:
    grown = np.empty_like(ids)
    for box in _boxes(grid):
        read = box_to_read(box, grid.region, width)
        where = read.within(grid.region)
        free = np.asarray(classes[where]) == border
        grown[box.within(grid.region)] = grown_block(
            ids[where], free, read=read, write=box, width=width
        )
    return grown
