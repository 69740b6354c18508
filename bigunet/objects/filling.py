"""Which holes of a whole image are filled, from the fragments of holes in all blocks.

A hole is filled if no fragment of it touches a side of the image, and all of them together have at
most as many voxels as the rule says. So the result is the same for any blocks. Objects inside a
hole do not count for its size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bigunet.blocks import BlockGrid
from bigunet.errors import OptionError
from bigunet.objects.block_fragments import BlockFragments
from bigunet.objects.holes import (
    HOLE_CONNECTIVITY,
    HoleFragments,
    filled_block,
    hole_labels,
    holes_of_labels,
)
from bigunet.objects.in_memory import Sliceable, all_boxes
from bigunet.objects.numbering import NumberedObjects
from bigunet.objects.relabelling import ids_of_labels
from bigunet.objects.rule import ObjectRule
from bigunet.objects.scratch import Scratch
from bigunet.objects.stitching import stitch


def choose_filled(
    grid: BlockGrid,
    blocks: Iterable[HoleFragments],
    *,
    largest: int,
    scratch: Scratch | None = None,
) -> NumberedObjects:
    """Join the fragments of all blocks, and choose the holes that are filled.

    Parameters
    ----------
    grid : BlockGrid
    blocks : iterable of HoleFragments
        Those of every block, in C order of the blocks. Each is taken once.
    largest : int
        Holes with more voxels are not filled.
    scratch : Scratch, optional
        Holds what is known of holes; by default, memory does.

    Returns
    -------
    NumberedObjects
        Its ids are bool: whether a hole, and so each of its fragments, is filled. ``num_objects``
        counts the holes that are.

    Raises
    ------
    OptionError
        If ``largest`` is negative.
    GeometryError
        If there are not as many blocks as the grid has, or a face does not fit its neighbour.
    OSError
        If the folder of the scratch has no space left.
    """
    if largest < 0:
        raise OptionError(f"largest {largest} must be 0 or more voxels")
    marked = map(_marked, blocks)
    stitched = stitch(grid, marked, connectivity=HOLE_CONNECTIVITY, scratch=scratch)
    is_filled, num_filled = stitched.scratch.column(bool), 0
    for batch in stitched.batches:
        closed = batch.closed.start, batch.closed.stop
        sizes, firsts = stitched.sizes.read(*closed), stitched.first_voxels.read(*closed)
        of_batch = (firsts != _AT_SIDE) & (sizes <= largest)
        is_filled.append(of_batch)
        num_filled += int(np.count_nonzero(of_batch))
    return NumberedObjects(stitched, is_filled, num_filled, stitched.num_objects - num_filled)


_AT_SIDE = -1


def _marked(holes: HoleFragments) -> BlockFragments:
    """The fragments of a block, in which the sides of the image come before its first voxel.

    The first voxel of a hole is the lowest of its fragments: so a mark of one is a mark of all.
    """
    firsts = np.where(holes.at_side, _AT_SIDE, holes.fragments.first_voxels)
    return replace(holes.fragments, first_voxels=firsts)


@dataclass(frozen=True, slots=True, eq=False)
class FilledClasses:
    """Classes in which the voxels of filled holes are of the object class, read by boxes.

    Parameters
    ----------
    classes : array of int or bool, (*frames, *space)
    is_filled : ndarray of bool, (*frames, *space)
    rule : ObjectRule
    """

    classes: Sliceable
    is_filled: np.ndarray
    rule: ObjectRule

    @property
    def shape(self) -> tuple[int, ...]:
        return self.classes.shape

    @property
    def dtype(self) -> Any:
        return self.classes.dtype

    def __getitem__(self, where: tuple[slice, ...]) -> np.ndarray:
        return filled_block(np.asarray(self.classes[where]), self.is_filled[where], self.rule)


def with_filled_holes(
    classes: Sliceable, rule: ObjectRule, grid: BlockGrid, labels: np.ndarray
) -> Sliceable:
    """Classes after holes are filled; of arrays that are not in memory, one block is read at once.

    Parameters
    ----------
    classes : array of int or bool, (*frames, *space)
    rule : ObjectRule
    grid : BlockGrid
        The blocks of the whole array.
    labels : ndarray of uint32, (*frames, *space)
        Memory for labels; what is in it is lost.

    Raises
    ------
    LabelsError
        If the classes have fewer axes than the objects.
    """
    if not rule.fill_holes:
        return classes
    holes = _holes(classes, rule, grid, labels)
    chosen = choose_filled(grid, holes, largest=rule.fill_holes).in_memory()
    is_filled = np.empty(grid.region.shape, bool)
    for number, box in enumerate(all_boxes(grid)):
        where = box.within(grid.region)
        is_filled[where] = ids_of_labels(labels[where], chosen.of_block(number))
    return FilledClasses(classes, is_filled, rule)


def _holes(
    classes: Sliceable, rule: ObjectRule, grid: BlockGrid, labels: np.ndarray
) -> Iterator[HoleFragments]:
    """Fragments of the holes of each block; their labels are written into ``labels``."""
    for box in all_boxes(grid):
        where = box.within(grid.region)
        local = hole_labels(np.asarray(classes[where]), rule)
        labels[where] = local
        yield holes_of_labels(local, box, grid.region, ndim=rule.ndim)
