"""Splits touching objects of an array in memory, by the functions that blocks use.

::

    seeds   each block reads its halo, and numbers the fragments of its seeds
            the fragments are stitched and numbered, as those of objects are
    spread  each block reads its halo of ids, and gives its voxels to seeds: in rounds, until no
            voxel of an object is without a seed
    pieces  each block numbers its pieces, which are joined by their seeds
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bigunet.blocks import BlockGrid
from bigunet.errors import LabelsError
from bigunet.objects.block_fragments import BlockFragments, fragments_of_labels, label_block
from bigunet.objects.in_memory import Sliceable, all_boxes, ids_of_blocks
from bigunet.objects.joining import StitchedFragments
from bigunet.objects.numbering import number_objects
from bigunet.objects.pieces import BlockPieces, join_pieces, pieces_of_block
from bigunet.objects.relabelling import box_to_read
from bigunet.objects.rule import ObjectRule
from bigunet.objects.seeds import seed_voxels
from bigunet.objects.split_rule import SplitRule
from bigunet.objects.spreading import spread
from bigunet.objects.stitching import stitch

STEPS = 32
"""Steps of one round of spreading, and so its halo. Seeds of nuclei were up to 40 steps away."""


def split_objects(
    classes: Sliceable, rule: ObjectRule, split: SplitRule, grid: BlockGrid, labels: np.ndarray
) -> StitchedFragments:
    """Label the pieces of split objects block by block; their labels are written into ``labels``.

    Parameters
    ----------
    classes : array of int or bool, (*frames, *space)
    rule : ObjectRule
    split : SplitRule
    grid : BlockGrid
        The blocks of the whole array.
    labels : ndarray of uint32, (*frames, *space)

    Returns
    -------
    StitchedFragments
        The split objects; its fragments are their pieces.

    Raises
    ------
    OptionError
        If the spacing does not have as many axes as the objects.
    LabelsError
        If the classes change between two reads.
    """
    fragments = _seeds(classes, rule, split, grid, labels)
    seeds = number_objects(stitch(grid, fragments, connectivity=rule.connectivity))
    ids, left = ids_of_blocks(labels, seeds, grid), True
    while left:
        before = ids
        ids, left = _spread(before, classes, rule, grid)
        if left and np.array_equal(ids, before):  # for ever: an object has no seed
            raise LabelsError("classes have changed while they were read; give those of one time")
    return join_pieces(_pieces(ids, grid, labels))


def _seeds(
    classes: Sliceable, rule: ObjectRule, split: SplitRule, grid: BlockGrid, labels: np.ndarray
) -> Iterator[BlockFragments]:
    """Fragments of the seeds of each block; their labels are written into ``labels``."""
    halo = (0,) * (grid.region.ndim - rule.ndim) + split.halo(rule.ndim)
    one = ObjectRule(1, connectivity=rule.connectivity, ndim=rule.ndim)
    for box in all_boxes(grid):
        read = box.grow(halo).intersection(grid.region)
        inside = np.asarray(classes[read.within(grid.region)]) == rule.object_class
        seeds = seed_voxels(inside, split, connectivity=rule.connectivity, ndim=rule.ndim)
        local = label_block(seeds[box.within(read)], one)
        labels[box.within(grid.region)] = local
        yield fragments_of_labels(local, box, grid.region, ndim=rule.ndim)


def _spread(
    ids: np.ndarray, classes: Sliceable, rule: ObjectRule, grid: BlockGrid
) -> tuple[np.ndarray, bool]:
    """Ids after one round, and whether voxels of objects are left without one."""
    after, left = ids.copy(), False
    for box in all_boxes(grid):
        here = box.within(grid.region)
        if not ((ids[here] == 0) & (np.asarray(classes[here]) == rule.object_class)).any():
            continue
        read = box_to_read(box, grid.region, STEPS, ndim=rule.ndim)
        where = read.within(grid.region)
        inside = np.asarray(classes[where]) == rule.object_class
        wide = spread(ids[where], inside, STEPS, connectivity=rule.connectivity, ndim=rule.ndim)
        write = box.within(read)
        after[here] = wide[write]
        left = left or bool((inside[write] & (wide[write] == 0)).any())
    return after, left


def _pieces(ids: np.ndarray, grid: BlockGrid, labels: np.ndarray) -> Iterator[BlockPieces]:
    for box in all_boxes(grid):
        where = box.within(grid.region)
        local, pieces = pieces_of_block(ids[where], box, grid.region)
        labels[where] = local
        yield pieces
