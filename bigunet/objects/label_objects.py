"""The verb ``label_objects``: objects of classes in memory, by the functions that blocks use."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence

import numpy as np

from bigunet.blocks import BlockGrid
from bigunet.errors import LabelsError, OptionError
from bigunet.geometry import Box
from bigunet.objects.block_fragments import BlockFragments, fragments_of_labels, label_block
from bigunet.objects.filling import with_filled_holes
from bigunet.objects.in_memory import Sliceable, all_boxes, ids_of_blocks
from bigunet.objects.link_rule import links_of
from bigunet.objects.linked_blocks import linked_ids
from bigunet.objects.numbering import number_objects
from bigunet.objects.relabelling import box_to_read, grown_block
from bigunet.objects.rule import ObjectRule
from bigunet.objects.split_blocks import split_objects
from bigunet.objects.split_rule import SplitRule
from bigunet.objects.stitching import stitch

_BLOCK_SIDES = {1: 2**24, 2: 2**12, 3: 2**8}
"""Side of a block by number of axes: 16 million voxels; their labels take 64 MiB."""


def label_objects(
    classes: Sliceable,
    *,
    object_class: int = 1,
    border: int | None = None,
    border_width: int = 1,
    smallest: int = 0,
    connectivity: int = 1,
    frames: int = 0,
    split: SplitRule | None = None,
    fill_holes: int = 0,
    link_planes: float | None = None,
    link_time: float | None = None,
    block_shape: Sequence[int] | None = None,
) -> np.ndarray:
    """Number the objects of one class: its connected voxels are one object.

    Objects have the ids 1, 2, 3 and so on, in the order of their first voxel in C order. The result
    is the same, to the byte, for any shape of blocks.

    Parameters
    ----------
    classes : array of int or bool, (*frames, *space)
        One to three axes of space. Of arrays that are not in memory (zarr, h5py, dask), one block
        is read at a time.
    object_class : int
        The class of the objects.
    border : int, optional
        The class that separates touching objects. Its voxels return to the nearest object within
        ``border_width``; where several are equally near, the lowest id gets the voxel.
    border_width : int
        Width of the border on each side of an object, in voxels along each axis.
    smallest : int
        Objects with fewer voxels of their class are left out. Voxels that return from the border
        do not count; those of linked objects count together.
    connectivity : int
        Which voxels are neighbours: 1 over faces, 2 over edges as well, 3 over corners as well; at
        most the number of axes of space. As in scikit-image.
    frames : int
        How many of the first axes are frames, such as time points: objects neither join nor grow
        across them, unless they are linked. Ids go on from frame to frame.
    split : SplitRule, optional
        Where touching objects are split. By default they are not.
    fill_holes : int
        Holes of at most so many voxels become voxels of the object class before all else. A hole is
        voxels of other classes, the border included, that are connected over faces and touch no
        side of the image (of their frame). 0 fills none. The holes are those of
        ``scipy.ndimage.binary_fill_holes``, which fills all sizes.
    link_planes : float, optional
        Least IoU, above 0 and up to 1, from which 2D objects of neighbouring planes are one object:
        if each overlaps most with the other, by IoU. The planes are the last axis of frames.
    link_time : float, optional
        Least IoU from which objects of neighbouring time points are one object, in the same way and
        after the planes. Time is the first axis of frames: t, y, x or t, z, y, x.
    block_shape : sequence of int, optional
        Voxels of a block along each axis. By default a block has up to 16 million voxels
        of one frame.

    Returns
    -------
    ndarray of uint32, (*frames, *space)
        0 is no object. The type is uint64 if there are more than 4,294,967,295 objects.

    Raises
    ------
    LabelsError
        If the classes are no whole numbers, or have no axis of space or more than three.
    OptionError
        If the border is the class of the objects, a number is out of its range, or there is no such
        connectivity, or no axis to link along.
    GeometryError
        If the block shape does not fit the axes.

    Examples
    --------
    >>> label_objects(np.array([0, 1, 1, 2, 2, 1, 2, 0]), border=2)
    array([0, 1, 1, 1, 2, 2, 2, 0], dtype=uint32)
    >>> label_objects(np.array([[[1, 1, 0, 1]], [[1, 1, 0, 0]]]), frames=1, link_planes=0.5)
    array([[[1, 1, 0, 2]],
    <BLANKLINE>
           [[1, 1, 0, 0]]], dtype=uint32)
    """
    grid = _grid(classes, frames, block_shape)
    ndim = grid.region.ndim - frames
    links = links_of(frames, ndim, link_planes=link_planes, link_time=link_time)
    rule = ObjectRule(
        object_class,
        border,
        border_width,
        smallest,
        connectivity,
        ndim,
        split,
        links,
        fill_holes,
    )
    labels = np.zeros(grid.region.shape, np.uint32)
    classes = with_filled_holes(classes, rule, grid, labels)
    if split is None:
        stitched = stitch(grid, _labelled(classes, rule, grid, labels), connectivity=connectivity)
    else:
        stitched = split_objects(classes, rule, grid, labels)
    if links:
        ids = linked_ids(labels, stitched, rule, grid)
    else:
        ids = ids_of_blocks(labels, number_objects(stitched, smallest=smallest), grid)
    return ids if border is None or border_width == 0 else _grown(ids, classes, rule, grid)


def _grid(classes: Sliceable, frames: int, block_shape: Sequence[int] | None) -> BlockGrid:
    shape = tuple(classes.shape)
    if frames < 0:
        raise OptionError(f"frames {frames} must be 0 or more axes")
    if len(shape) - frames not in _BLOCK_SIDES:
        raise LabelsError(
            f"classes have {len(shape)} axes; give 1 to 3 and those that frames counts ({frames})"
        )
    if np.dtype(classes.dtype).kind not in "bui":
        raise LabelsError(f"classes are of type {classes.dtype}; give whole numbers")
    if block_shape is None:
        num_axes = len(shape) - frames
        block_shape = (1,) * frames + (_BLOCK_SIDES[num_axes],) * num_axes
    return BlockGrid(Box.of_shape(shape), tuple(operator.index(n) for n in block_shape))


def _labelled(
    classes: Sliceable, rule: ObjectRule, grid: BlockGrid, labels: np.ndarray
) -> Iterator[BlockFragments]:
    """Label block by block; local labels are written into ``labels``."""
    for box in all_boxes(grid):
        where = box.within(grid.region)
        local = label_block(np.asarray(classes[where]), rule)
        labels[where] = local
        yield fragments_of_labels(local, box, grid.region, ndim=rule.ndim)


def _grown(ids: np.ndarray, classes: Sliceable, rule: ObjectRule, grid: BlockGrid) -> np.ndarray:
    grown = np.empty_like(ids)
    for box in all_boxes(grid):
        read = box_to_read(box, grid.region, rule.border_width, ndim=rule.ndim)
        where = read.within(grid.region)
        free = np.asarray(classes[where]) == rule.border
        grown[box.within(grid.region)] = grown_block(
            ids[where], free, read=read, write=box, width=rule.border_width, ndim=rule.ndim
        )
    return grown
