"""What stitching and numbering give if all numbers of all fragments are in memory at once."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from bigunet.blocks import BlockGrid
from bigunet.objects.block_fragments import BlockFragments
from bigunet.objects.pieces import BlockPieces
from bigunet.objects.touching import WaitingFaces


def ids_of_fragments(
    grid: BlockGrid,
    blocks: Iterable[BlockFragments],
    *,
    connectivity: int,
    smallest: int = 0,
    before: int = 0,
) -> np.ndarray:
    """The id of each fragment, from the graph of all fragments that touch."""
    known = list(blocks)
    waiting = WaitingFaces(grid, len(known[0].low_faces), connectivity)
    edges, offset = [np.zeros((2, 0), np.int64)], 0
    for index, fragments in zip(np.ndindex(*grid.shape), known, strict=True):
        edges += waiting.edges_to(index, offset, fragments)
        offset += fragments.num_fragments
    ends = np.concatenate(edges, axis=1)
    graph = coo_array((np.ones(len(ends[0])), tuple(ends)), shape=(offset, offset))
    _, objects = connected_components(graph, directed=False)
    return _ids(
        objects,
        np.concatenate([one.sizes for one in known]),
        np.concatenate([one.first_voxels for one in known]),
        smallest,
        before,
    )


def ids_of_pieces(blocks: Iterable[BlockPieces], *, smallest: int = 0) -> np.ndarray:
    """The id of each piece, from the seeds of all pieces."""
    known = list(blocks)
    seeds = np.concatenate([np.zeros(0, np.uint64), *(one.seeds for one in known)])
    sizes = np.concatenate([np.zeros(0, np.int64), *(one.sizes for one in known)])
    firsts = np.concatenate([np.zeros(0, np.int64), *(one.first_voxels for one in known)])
    _, objects = np.unique(seeds, return_inverse=True)
    return _ids(objects, sizes, firsts, smallest, 0)


def _ids(
    objects: np.ndarray, sizes: np.ndarray, firsts: np.ndarray, smallest: int, before: int
) -> np.ndarray:
    """Ids by the first voxel of each object, in plain Python."""
    totals: dict[int, int] = {}
    starts: dict[int, int] = {}
    for one, size, first in zip(objects.tolist(), sizes.tolist(), firsts.tolist(), strict=True):
        totals[one] = totals.get(one, 0) + size
        starts[one] = min(starts.get(one, first), first)
    large = sorted((one for one in totals if totals[one] >= smallest), key=lambda one: starts[one])
    numbers = {one: number for number, one in enumerate(large, start=before + 1)}
    dtype = np.uint32 if before + len(large) < 2**32 else np.uint64
    return np.array([numbers.get(one, 0) for one in objects.tolist()], dtype)
