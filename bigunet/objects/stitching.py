"""Joins the fragments of all blocks into objects, where they touch between blocks.

Fragments are numbered through the whole volume from 0: the fragments of all blocks before, in C
order of the blocks, and then the place of the fragment in its block. Memory holds a few numbers for
each fragment and for each pair of fragments that touch. It also holds the faces that wait for the
next blocks, compressed: those of about one layer of blocks across the first axis.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from bigunet.blocks import BlockGrid
from bigunet.errors import GeometryError
from bigunet.objects.block_fragments import BlockFragments
from bigunet.objects.touching import WaitingFaces


@dataclass(frozen=True, slots=True, eq=False)
class StitchedFragments:
    """The objects of a volume: each is named by its lowest fragment.

    Attributes
    ----------
    offsets : ndarray of int64, (num_blocks + 1,)
        Number of fragments in all blocks before, in C order of the blocks.
    sizes : ndarray of int64, (num_fragments,)
        Voxels of the whole object, at its lowest fragment; 0 at its other fragments.
    first_voxels : ndarray of int64, (num_fragments,)
        First voxel of the whole object in C order of the volume, at its lowest fragment.
    joined, lowest : ndarray of int64, (num_joined,)
        Fragments that touch those of other blocks, in ascending order, and the lowest fragment of
        their object.
    """

    offsets: np.ndarray
    sizes: np.ndarray
    first_voxels: np.ndarray
    joined: np.ndarray
    lowest: np.ndarray

    @property
    def num_fragments(self) -> int:
        return self.sizes.size

    @property
    def num_objects(self) -> int:
        return self.num_fragments - int(np.count_nonzero(self.joined != self.lowest))


def stitch(
    grid: BlockGrid, blocks: Iterable[BlockFragments], *, connectivity: int = 1
) -> StitchedFragments:
    """Join the fragments of all blocks into objects.

    Parameters
    ----------
    grid : BlockGrid
    blocks : iterable of BlockFragments
        Those of every block, in C order of the blocks. Each is taken once, and only its numbers are
        kept. Each has faces along the axes of space, which are the last of the grid: nothing joins
        across the axes before.
    connectivity : int
        That of the fragments: 1 over faces, 2 over edges as well, 3 over corners as well.

    Raises
    ------
    GeometryError
        If there are not as many blocks as the grid has, or a face does not fit its neighbour.
    OptionError
        If the connectivity is below 1, or above the number of axes of space.
    """
    counts = [0]
    sizes, firsts, edges = [_NONE], [_NONE], [_NO_EDGES]
    waiting: WaitingFaces | None = None
    remaining = iter(blocks)
    for index, fragments in zip(np.ndindex(*grid.shape), remaining):
        if waiting is None:
            waiting = WaitingFaces(grid, len(fragments.low_faces), connectivity)
        edges += waiting.edges_to(index, counts[-1], fragments)
        sizes.append(fragments.sizes)
        firsts.append(fragments.first_voxels)
        counts.append(counts[-1] + fragments.num_fragments)
    if len(counts) != grid.num_blocks + 1 or next(remaining, None) is not None:
        raise GeometryError(
            f"fragments of {len(counts) - 1} blocks or more for a grid of {grid.num_blocks}; "
            "give those of each block once"
        )
    return _joined(
        np.array(counts, np.int64),
        np.concatenate(sizes),
        np.concatenate(firsts),
        np.concatenate(edges, axis=1),
    )


_NONE = np.zeros(0, np.int64)
_NO_EDGES = np.zeros((2, 0), np.int64)


def _joined(
    offsets: np.ndarray, sizes: np.ndarray, firsts: np.ndarray, edges: np.ndarray
) -> StitchedFragments:
    """Join the fragments that edges connect; sizes and first voxels are changed in place."""
    # Imported here: only the process that stitches needs it.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    joined, ends = np.unique(edges, return_inverse=True)
    first_ends, second_ends = ends.reshape(edges.shape).astype(np.int32)
    ones = np.ones(len(first_ends), np.int8)
    graph = coo_array((ones, (first_ends, second_ends)), shape=(len(joined), len(joined)))
    count, numbers = connected_components(graph, directed=True, connection="weak")
    order = np.argsort(numbers, kind="stable")
    starts = np.searchsorted(numbers[order], np.arange(count))
    members = joined[order]
    lowest = members[starts]
    if count:  # reduceat takes no empty list
        total = np.add.reduceat(sizes[members], starts)
        sizes[joined] = 0
        sizes[lowest] = total
        firsts[lowest] = np.minimum.reduceat(firsts[members], starts)
    return StitchedFragments(offsets, sizes, firsts, joined, lowest[numbers])
