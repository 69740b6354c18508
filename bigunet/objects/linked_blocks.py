"""Links objects of an array in memory, by the functions that blocks use.

::

    overlaps  each block reads a frame more of ids without links, and counts its overlaps
    linking   the overlaps of all blocks decide which objects are one
"""

from __future__ import annotations

import numpy as np

from bigunet.blocks import BlockGrid
from bigunet.geometry import Box
from bigunet.objects.in_memory import all_boxes, ids_of_blocks
from bigunet.objects.joining import StitchedFragments
from bigunet.objects.linking import link_objects
from bigunet.objects.numbering import rank, sizes_of_objects
from bigunet.objects.overlaps import overlaps_of_block
from bigunet.objects.rule import ObjectRule


def linked_ids(
    labels: np.ndarray, stitched: StitchedFragments, rule: ObjectRule, grid: BlockGrid
) -> np.ndarray:
    """Ids of all voxels, before growth; the labels may be overwritten.

    Parameters
    ----------
    labels : ndarray of uint32, (*frames, *space)
        Fragments of each block.
    stitched : StitchedFragments
    rule : ObjectRule
        With links.
    grid : BlockGrid
        The blocks of the whole array.

    Returns
    -------
    ndarray of uint32 or uint64, (*frames, *space)
    """
    unlinked = rank(stitched)
    ids = ids_of_blocks(labels, unlinked.in_memory(), grid)

    def read(box: Box) -> np.ndarray:
        return ids[box.within(grid.region)]

    blocks = (overlaps_of_block(read, box, grid.region, rule.links) for box in all_boxes(grid))
    sizes = sizes_of_objects(unlinked)
    linked = link_objects(sizes, blocks, rule.links, smallest=rule.smallest)
    for box in all_boxes(grid):
        ids[box.within(grid.region)] = linked.ids[read(box)]
    return ids.astype(linked.ids.dtype, copy=False)
