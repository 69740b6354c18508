"""Splits touching objects of an array in memory, by the functions that blocks use.

::

    seeds     each block reads its halo, and numbers the fragments of its seeds
              the fragments are stitched and numbered, as those of objects are
    reaching  each block reads a halo of ids, and gives its voxels to the nearest seeds
    pieces    each block numbers its pieces, which are joined by their seeds
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from bigunet.blocks import BlockGrid
from bigunet.geometry import Box
from bigunet.objects.block_fragments import BlockFragments, fragments_of_labels, label_block
from bigunet.objects.in_memory import Sliceable, all_boxes, ids_of_blocks
from bigunet.objects.joining import StitchedFragments
from bigunet.objects.numbering import number_objects
from bigunet.objects.pieces import BlockPieces, join_pieces, pieces_of_block
from bigunet.objects.reaching import nearest_seeds
from bigunet.objects.rule import ObjectRule
from bigunet.objects.seeds import seed_voxels
from bigunet.objects.stitching import stitch


def split_objects(
    classes: Sliceable, rule: ObjectRule, grid: BlockGrid, labels: np.ndarray
) -> StitchedFragments:
    """Label the pieces of split objects block by block; their labels are written into ``labels``.

    Parameters
    ----------
    classes : array of int or bool, (*frames, *space)
    rule : ObjectRule
        With a rule for splitting.
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
    local = np.zeros_like(labels)
    fragments = _seeds(classes, rule, grid, local)
    seeds = number_objects(stitch(grid, fragments, connectivity=rule.connectivity))
    ids = ids_of_blocks(local, seeds, grid)
    return join_pieces(_pieces(classes, ids, rule, grid, labels))


def seed_labels(
    box: Box, region: Box, inside: Callable[[Box], np.ndarray], rule: ObjectRule
) -> np.ndarray:
    """The fragments of seeds in a block, numbered as :func:`label_block` numbers those of objects.

    Parameters
    ----------
    box : Box
        The block.
    region : Box
        The whole volume.
    inside : callable
        Gives the voxels of the object class in a box, as bool.
    rule : ObjectRule
        With a rule for splitting.

    Returns
    -------
    ndarray of uint32, (*box)
    """
    assert rule.split is not None
    halo = (0,) * (box.ndim - rule.ndim) + rule.split.halo(rule.ndim)
    read = box.grow(halo).intersection(region)
    seeds = seed_voxels(inside(read), rule.split, connectivity=rule.connectivity, ndim=rule.ndim)
    one = ObjectRule(1, connectivity=rule.connectivity, ndim=rule.ndim)
    return label_block(seeds[box.within(read)], one)


def _seeds(
    classes: Sliceable, rule: ObjectRule, grid: BlockGrid, labels: np.ndarray
) -> Iterator[BlockFragments]:
    """Fragments of the seeds of each block; their labels are written into ``labels``."""
    region = grid.region

    def inside(box: Box) -> np.ndarray:
        return np.asarray(np.asarray(classes[box.within(region)]) == rule.object_class)

    for box in all_boxes(grid):
        local = seed_labels(box, region, inside, rule)
        labels[box.within(region)] = local
        yield fragments_of_labels(local, box, region, ndim=rule.ndim)


def _pieces(
    classes: Sliceable, ids: np.ndarray, rule: ObjectRule, grid: BlockGrid, labels: np.ndarray
) -> Iterator[BlockPieces]:
    """Pieces of each block; their labels are written into ``labels``."""
    region = grid.region

    def read(box: Box) -> tuple[np.ndarray, np.ndarray]:
        where = box.within(region)
        return ids[where], np.asarray(classes[where]) == rule.object_class

    for box in all_boxes(grid):
        own = nearest_seeds(box, region, read, rule)
        local, pieces = pieces_of_block(own, box, region)
        labels[box.within(region)] = local
        yield pieces
