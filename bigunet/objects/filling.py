"""Which holes of a whole image are filled, from the fragments of holes in all blocks.

A hole is filled if no fragment of it touches a side of the image, and all of them together have at
most as many voxels as the rule says. So the result is the same for any blocks. Objects inside a
hole do not count for its size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
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
from bigunet.objects.relabelling import ids_of_labels
from bigunet.objects.rule import ObjectRule
from bigunet.objects.stitching import stitch


@dataclass(frozen=True, slots=True, eq=False)
class FilledHoles:
    """Whether each fragment of each block is filled.

    Attributes
    ----------
    offsets : ndarray of int64, (num_blocks + 1,)
        Number of fragments in all blocks before, in C order of the blocks.
    is_filled : ndarray of bool, (num_fragments,)
    num_filled : int
        Holes that are filled.
    """

    offsets: np.ndarray
    is_filled: np.ndarray
    num_filled: int

    def of_block(self, number: int) -> np.ndarray:
        """Whether each local fragment is filled: index 0 is the object class, and holds False.

        Parameters
        ----------
        number : int
            Number of the block, as :meth:`bigunet.blocks.BlockGrid.number` gives it.
        """
        own = self.is_filled[self.offsets[number] : self.offsets[number + 1]]
        return np.concatenate([np.zeros(1, bool), own])


def choose_filled(grid: BlockGrid, blocks: Iterable[HoleFragments], *, largest: int) -> FilledHoles:
    """Join the fragments of all blocks, and choose the holes that are filled.

    Parameters
    ----------
    grid : BlockGrid
    blocks : iterable of HoleFragments
        Those of every block, in C order of the blocks. Each is taken once.
    largest : int
        Holes with more voxels are not filled.

    Raises
    ------
    OptionError
        If ``largest`` is negative.
    GeometryError
        If there are not as many blocks as the grid has, or a face does not fit its neighbour.
    """
    if largest < 0:
        raise OptionError(f"largest {largest} must be 0 or more voxels")
    sides = [np.zeros(0, bool)]

    def fragments() -> Iterator[BlockFragments]:
        for block in blocks:
            sides.append(block.at_side)
            yield block.fragments

    stitched = stitch(grid, fragments(), connectivity=HOLE_CONNECTIVITY)
    at_side = np.concatenate(sides)
    at_side[stitched.lowest[at_side[stitched.joined]]] = True
    # Only the lowest fragment of a hole has a size: that of the whole hole.
    is_filled = (stitched.sizes > 0) & (stitched.sizes <= largest) & ~at_side
    num_filled = int(np.count_nonzero(is_filled))
    is_filled[stitched.joined] = is_filled[stitched.lowest]
    return FilledHoles(stitched.offsets, is_filled, num_filled)


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
    chosen = choose_filled(grid, _holes(classes, rule, grid, labels), largest=rule.fill_holes)
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
